// What is mounted below a folder, for tests that leave nothing behind.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The mount points below a folder, as this or another process sees them, in the order in which they were made. */
export function mountPointsBelow(folder: string, pid: number | 'self' = 'self'): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    )
    .filter((path) => path.startsWith(`${folder}/`));
}

/** Takes them away, the last one first. One may go by itself meanwhile, with the container that it belonged to. */
export function umountBelow(folder: string): void {
  for (const path of mountPointsBelow(folder).reverse()) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
}
