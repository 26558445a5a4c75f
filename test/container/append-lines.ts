// Lines for a bounded log, as the pump appends them: a chunk each, turn by turn on both streams.

import { STDERR, STDOUT } from '../../src/container/log-records.js';
import type { LogStore } from '../../src/container/log-store.js';

/** Appends numbered lines, from `first` on, until the log has made room `rotations` times more; and a few more lines. */
export async function appendLines(store: LogStore, rotations: number, first: number): Promise<string[]> {
  const lines: string[] = [];
  const append = (): void => {
    const line = `line ${first + lines.length}\n`;
    store.append(lines.length % 3 === 0 ? STDERR : STDOUT, line);
    lines.push(line);
  };
  for (let done = 0; done < rotations;) {
    const isFull = store.room < 32;
    if (isFull) store.append(STDOUT, '.'.repeat(store.room)); // to the last byte
    await store.makeRoom();
    if (isFull) done++;
    append();
  }
  for (let i = 0; i < 5; i++) append();
  return lines;
}
