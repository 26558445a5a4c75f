// Who keeps a mount from being taken away: processes that stand in it, or have a file in it open.
//
// 2013: none

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** How many are named. */
const MAX_NAMED = 5;

/** The processes that use what is mounted at `path`, in words, as far as they are found: `4711 (sh), 4712 (vi)`. */
export function mountUsers(path: string): string {
  const users: string[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || users.length > MAX_NAMED) continue;
    if (uses(`/proc/${pid}`, path)) users.push(users.length < MAX_NAMED ? `${pid} (${nameOf(pid)})` : 'and others');
  }
  return users.join(', ');
}

function uses(process: string, path: string): boolean {
  const links = ['cwd', 'root', 'exe', ...namesIn(`${process}/fd`).map((fd) => `fd/${fd}`)];
  return links.some((link) => {
    const target = linkOf(`${process}/${link}`);
    return target === path || target.startsWith(`${path}/`);
  });
}

function nameOf(pid: string): string {
  return orEmpty(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
}

function linkOf(path: string): string {
  return orEmpty(() => readlinkSync(path));
}

function namesIn(path: string): string[] {
  return orEmpty(() => readdirSync(path).join(' '))
    .split(' ')
    .filter(Boolean);
}

/** A process may end at any moment, and the kernel's own have no files: whatever cannot be read only makes a line shorter. */
function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
