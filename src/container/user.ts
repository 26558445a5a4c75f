// Looking up who the program is to run as, in the container's own /etc/passwd.
//
// 2013: sysinit.go, changeUser

import type { Inside } from '../filesystem/inside.js';
import { PathError } from '../filesystem/path-error.js';

/** Whom a process belongs to. */
export interface User {
  uid: number;
  gid: number;
}

export const ROOT: User = { uid: 0, gid: 0 };
const PASSWD = '/etc/passwd';
/** How much of the file is read: many more users than any machine has. */
const LIMIT_BYTES = 8 * 1024 * 1024;
/** The kernel's word for no id at all. */
const NO_ID = 2 ** 32 - 1;

/** The user of that uid, else of that name; undefined where there is none. */
export async function findUser(tree: Inside, name: string): Promise<User | undefined> {
  const lines = (await readPasswd(tree)).split('\n').map((line) => line.split(':'));
  const found = lines.find(([, , uid]) => uid === name) ?? lines.find(([ownName]) => ownName === name);
  const [uid, gid] = [found?.[2], found?.[3]].map(idNumber);
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** Empty where the image has no such file. */
async function readPasswd(tree: Inside): Promise<string> {
  try {
    const file = await tree.openFile(PASSWD, 'read');
    try {
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of file.pieces()) {
        pieces.push(Buffer.from(piece));
        if ((length += piece.length) >= LIMIT_BYTES) break;
      }
      return Buffer.concat(pieces).toString();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof PathError) return '';
    throw error;
  }
}

function idNumber(text = ''): number | undefined {
  return /^\d+$/.test(text) && Number(text) < NO_ID ? Number(text) : undefined;
}
