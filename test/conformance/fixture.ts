// The base image of the cases, as the same bytes each time, so that its id is the same: busybox under the names of its programs,
// and below /data what the cases read, change and delete. March has users, folders for each part of PATH, and scripts, too.
//
// The bytes are those of GNU's format with whole records, as the recorder of the cases made them.

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { headerBlock, padded, withChecksum, type RawHeader } from '../archive/tar-builder.js';
import type { Reference } from './case.js';
import { sha256Start } from './sha256.js';
import { readEntries } from './tar-listing.js';

const RECORD = 10_240;
const PROGRAMS =
  `sh cat echo ls sleep true false touch mkdir rm rmdir mv cp chmod chown ln head tail wc env hostname id pwd ps kill stty tty
   printf seq dd yes sort uname od test [ mount umount grep sed date stat find tr md5sum mkfifo readlink expr usleep ip basename
   dirname tee cut awk xargs mknod sync du uniq sha256sum`.split(/\s+/);
const FOLDERS = ['', 'bin', 'dev', 'dev/pts', 'etc', 'proc', 'root', 'sys', 'var', 'var/run'];
const DATA_FOLDERS = ['data', 'data/dir', 'data/dir/sub', 'data/empty', 'data/keep'];
/** Each holds its own name and a newline. */
const DATA_FILES = 'one|two|three|dir/a|dir/b|dir/sub/deep|keep/x|keep/y|hello|what|.hidden|www|h|café|sp ace'.split(
  '|',
);
const MARCH_FOLDERS = 'sbin usr usr/bin usr/sbin usr/local usr/local/bin usr/local/sbin home'.split(' ');
/** The folders of PATH: `progN` is in all from the N-th on. */
const PATH = 'usr/local/sbin usr/local/bin usr/sbin usr/bin sbin bin'.split(' ');
const MARCH_PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/sh
alice:x:1000:1001:Alice:/home/alice:/bin/sh
1000:x:77:78:digits:/:/bin/sh
4242:x:88:89:digits:/:/bin/sh
bad:x:xx:1:bad uid:/:/bin/sh
`;
const MARCH_GROUP = 'root:x:0:\ndaemon:x:1:\nalice:x:1001:\nstaff:x:50:alice\n';

/** A base image. */
export interface Fixture {
  tar: Buffer;
  /** of the archive: the part of the image's id behind its name */
  hash: string;
  /** /bin/busybox in it */
  busybox: Buffer;
}

/** Makes the base image of the cases of one original. */
export function makeFixture(reference: Reference): Fixture {
  const busybox = readFileSync(busyboxPath());
  const entries = reference === 'jan29' ? january(busybox) : march(busybox);
  const blocks = Buffer.concat(entries);
  const length = Math.ceil((blocks.length + 1024) / RECORD) * RECORD;
  const tar = Buffer.concat([blocks, Buffer.alloc(length - blocks.length)]);
  return { tar, hash: sha256Start(tar), busybox };
}

/** An archive that somebody else made, for daemons that are to have another image. It must have ./bin/busybox. */
export function readFixture(file: string): Fixture {
  const tar = readFileSync(file);
  const busybox = readEntries(tar).find(({ name }) => /^(\.\/)?bin\/busybox$/.test(name.toString()));
  if (busybox === undefined) throw new Error(`Cannot use the base image "${file}": it has no ./bin/busybox`);
  return { tar, hash: sha256Start(tar), busybox: busybox.content };
}

function january(busybox: Buffer, passwd = 'root:x:0:0:root:/root:/bin/sh\n', group = 'root:x:0:\n'): Buffer[] {
  return [
    ...FOLDERS.map((name) => folder(name)),
    folder('tmp', 0o1777),
    file('bin/busybox', busybox, 0o755),
    ...[...PROGRAMS].sort().map((name) => link(`bin/${name}`, 'busybox')),
    file('etc/passwd', passwd),
    file('etc/group', group),
    file('etc/hostname', 'fixture\n'),
    file('etc/resolv.conf', ''),
    ...DATA_FOLDERS.map((name) => folder(name)),
    ...DATA_FILES.map((name) => file(`data/${name}`, `${basename(name)}\n`)),
    file('data/ro', 'read only\n', 0o444),
    file('data/script', '#!/bin/sh\necho script "$@"\n', 0o755),
    file('data/long', '0123456789abcdef\n'),
    file('data/bin', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))),
    link('data/link', 'one'),
  ];
}

function march(busybox: Buffer): Buffer[] {
  return [
    ...january(busybox, MARCH_PASSWD, MARCH_GROUP),
    ...MARCH_FOLDERS.map((name) => folder(name)),
    file('sbin/init', '', 0o755),
    link('sbin/route', '../bin/busybox'),
    ...['nc', 'whoami', 'route', 'ifconfig'].map((name) => link(`bin/${name}`, 'busybox')),
    ...PATH.flatMap((directory, at) =>
      PATH.slice(0, at + 1).map((_, n) => file(`${directory}/prog${n}`, `#!/bin/sh\necho ${directory}\n`, 0o755)),
    ),
    file('data/noexec', '#!/bin/sh\necho no\n'),
    file('data/private', 'secret\n', 0o600),
    file('data/noshebang', 'echo plain\n', 0o755),
  ];
}

function folder(name: string, mode = 0o755): Buffer {
  return entry({ name: name === '' ? './' : `./${name}/`, type: '5', mode });
}

function link(name: string, target: string): Buffer {
  return entry({ name: `./${name}`, type: '2', linkName: target, mode: 0o777 });
}

function file(name: string, content: string | Buffer, mode = 0o644): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([entry({ name: `./${name}`, mode }, bytes.length), padded(bytes)]);
}

function entry(header: RawHeader, length = 0): Buffer {
  const block = headerBlock({ ...header, magic: 'ustar  \0' }, length);
  for (const offset of [265, 297]) block.write('root', offset, 'latin1'); // names of the owner and the group
  return withChecksum(block);
}

function busyboxPath(): string {
  const path = ['/bin/busybox', '/usr/bin/busybox', '/sbin/busybox'].find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new Error('Cannot make the base image: busybox (package busybox-static) is not installed');
  return path;
}
