// The terminal that the client runs at: raw while a program in a container has it, and sane again on every way out.
//
// 2013: docker/docker.go, IsTerminal, MakeRaw and Restore

import type { ReadStream } from 'node:tty';

/** Makes the terminal raw. Returns what restores it, which may be called more than once. */
export function makeRaw(terminal: ReadStream): () => void {
  const restore = (): void => {
    process.off('exit', restore);
    if (terminal.isRaw) terminal.setRawMode(false);
  };
  terminal.setRawMode(true);
  process.on('exit', restore); // also after an error that nobody caught
  return restore;
}
