// One of everything that a file system can hold and an archive can carry.

import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import * as at from '../../src/linux/at.js';
import { lsetxattrAt } from '../../src/linux/xattr.js';

const { O_DIRECTORY, O_RDONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** What a format has no room for, and is then left out. */
export interface SampleOptions {
  /** names and targets beyond 100 bytes */
  hasLongNames: boolean;
  /** devices and fifos */
  hasDevices: boolean;
}

/** Fills `folder`. */
export function makeSampleTree(folder: string, options: SampleOptions): void {
  const root = at.openat(at.AT_FDCWD, at.nativeName(folder), O_RDONLY | O_DIRECTORY);
  const path = (name: string): string => join(folder, name);
  const latin1 = (name: string): Buffer => Buffer.from(name, 'latin1');
  try {
    mkdirSync(path('folder/empty'), { recursive: true });
    writeFileSync(path('plain'), 'plain\n');
    writeFileSync(path('empty'), '');
    writeFileSync(path('block'), Buffer.alloc(512, 'b'));
    writeFileSync(path('large'), Buffer.alloc(1_234_567, 'large '));
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), latin1('caf\xe9 \xff\n"')]), 'no UTF-8');
    writeFileSync(path('folder/.wh.gone'), '');
    writeFileSync(path('folder/setuid'), '#!');
    linkSync(path('plain'), path('zz-second-name'));
    symlinkSync('../../etc/passwd', path('upwards'));
    symlinkSync(latin1('/caf\xe9'), path('absolute'));
    if (options.hasDevices) {
      at.mknodat(root, at.nativeName('null'), S_IFCHR | 0o666, 1, 3);
      at.mknodat(root, at.nativeName('disk'), S_IFBLK | 0o660, 259, 300);
      at.mknodat(root, at.nativeName('fifo'), S_IFIFO | 0o622);
    }
    if (options.hasLongNames) {
      mkdirSync(path('d'.repeat(120)));
      writeFileSync(path(`${'d'.repeat(120)}/${'f'.repeat(250)}`), 'long');
      symlinkSync('t'.repeat(300), path('long-target'));
      linkSync(path(`${'d'.repeat(120)}/${'f'.repeat(250)}`), path('zz-second-long'));
    }
    const sparse = openSync(path('sparse'), 'w');
    for (let extent = 0; extent < 40; extent++) writeSync(sparse, `extent ${extent}`, extent * 1024 * 1024 + 4096);
    ftruncateSync(sparse, 64 * 1024 * 1024 + 77);
    closeSync(sparse);

    ['plain', 'upwards', 'folder/setuid', 'folder', options.hasDevices ? 'fifo' : 'large'].forEach((name, nth) => {
      at.fchownat(root, at.nativeName(name), 1000 + nth, 2000 + nth);
    });
    at.fchmodat(root, at.nativeName('folder/setuid'), 0o6751);
    at.fchmodat(root, at.nativeName('folder'), 0o1770);
    at.fchmodat(root, at.nativeName('empty'), 0);
    lsetxattrAt(root, at.nativeName('folder/setuid'), Buffer.from('security.capability'), CAPABILITY);
    lsetxattrAt(root, at.nativeName('folder'), Buffer.from('trusted.tsdock'), Buffer.of(0, 10, 255));
    lsetxattrAt(root, at.nativeName('absolute'), Buffer.from('trusted.tsdock'), Buffer.from('link'));
    ['plain', 'upwards', 'sparse', 'folder/empty', 'folder', '.'].forEach((name, nth) => {
      at.utimensat(root, at.nativeName(name), 1_355_270_400_123_456_789n + BigInt(nth));
    });
  } finally {
    at.close(root);
  }
}
