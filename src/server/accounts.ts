// The users and groups of the machine, read afresh from /etc/passwd and /etc/group for each question: whoever is added to a
// group belongs to it at once.
//
// The kernel tells whose a socket is, but not of which groups that process is a member: these files say.
//
// 2013: none

import { readFileSync } from 'node:fs';
import { hasCode } from '../linux/libc.js';

const PASSWD = '/etc/passwd';
const GROUP = '/etc/group';

/** The first name of a user; undefined where it has none. */
export function userName(uid: number): string | undefined {
  return usersOf(uid)[0]?.name;
}

/** The gid of a group; undefined where there is none of that name. */
export function groupId(name: string): number | undefined {
  return groupsNamed(name)[0]?.gid;
}

/** Whether a user is in the group of that name: it is the user's own, or names the user as a member. */
export function isMember(uid: number, group: string): boolean {
  const users = usersOf(uid);
  return groupsNamed(group).some(({ gid, members }) =>
    users.some((user) => user.gid === gid || members.includes(user.name)),
  );
}

/** Several names may stand for one uid. */
function usersOf(uid: number): { name: string; gid: number }[] {
  return linesOf(PASSWD).flatMap(([name = '', , id, gid]) => {
    return name !== '' && idNumber(id) === uid ? [{ name, gid: idNumber(gid) }] : [];
  });
}

function groupsNamed(wanted: string): { gid: number; members: string[] }[] {
  return linesOf(GROUP).flatMap(([name, , id, members = '']) => {
    const gid = idNumber(id);
    return name !== wanted || Number.isNaN(gid) ? [] : [{ gid, members: members.split(',') }];
  });
}

/** What is no number is no id, and equals none: NaN. */
function idNumber(text = ''): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

/** None where there is no such file. */
function linesOf(path: string): string[][] {
  try {
    return readFileSync(path, 'latin1')
      .split('\n')
      .map((line) => line.split(':').map((field) => field.trim()));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
