// The image that tests run: busybox, statically linked, under the names of its programs.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAMS =
  `sh cat echo ls sleep true false touch mkdir rm mv cp chmod ln head tail wc env hostname id pwd ps kill stty tty printf seq
   yes sort uname test mount mknod grep dd usleep ip sha256sum ping trap stat od tr nc httpd wget sysctl awk sed`.split(
    /\s+/,
  );
const FOLDERS = ['bin', 'dev', 'proc', 'sys', 'etc', 'root', 'tmp', 'data'];

/** An uncompressed tar of the image. */
export function fixtureTar(): Buffer {
  const root = mkdtempSync(join(tmpdir(), 'tsdock-test-image-'));
  try {
    chmodSync(root, 0o755); // for users other than root
    for (const folder of FOLDERS) mkdirSync(join(root, folder));
    copyFileSync(busybox(), join(root, 'bin/busybox'));
    for (const program of PROGRAMS) symlinkSync('busybox', join(root, 'bin', program));
    for (const name of ['hosts', 'hostname', 'resolv.conf']) writeFileSync(join(root, 'etc', name), '');
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/:/bin/sh\n');
    writeFileSync(join(root, 'data/one'), 'one\n');
    writeFileSync(join(root, 'data/plain'), 'no program\n', { mode: 0o644 });
    const options = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
    return execFileSync('tar', [...options, '-C', root, '-c', '.'], { maxBuffer: 1 << 26 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Where the static busybox is. */
export function busybox(): string {
  const path = ['/bin/busybox', '/usr/bin/busybox', '/sbin/busybox'].find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new Error('Cannot make the test image: busybox (package busybox-static) is not installed');
  return path;
}
