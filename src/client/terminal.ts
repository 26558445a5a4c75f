// The terminal that the client runs at: raw while a program in a container has it, and sane again on every way out.
//
// Not by node's setRawMode: that leaves output processing on, which turns the line feeds by which a full-screen program
// moves the cursor down into new lines.
//
// 2013: docker/docker.go, IsTerminal, MakeRaw and Restore

/** Makes the terminal on standard input raw. Resolves with what restores it, which may be called more than once. */
export async function makeRaw(): Promise<() => void> {
  const { makeTerminalRaw } = await import('../linux/pty.js'); // only who needs it pays for loading the bindings
  const undo = makeTerminalRaw(process.stdin.fd);
  let isRaw = true;
  const restore = (): void => {
    process.off('exit', restore);
    if (isRaw) undo();
    isRaw = false;
  };
  process.on('exit', restore); // also after an error that nobody caught
  return restore;
}
