// The ways to a program that lead through what is mounted in a container.

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { passesMountPoint } from '../../src/container/program-path.js';
import { mkfifo } from '../../src/linux/pipe.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const WAY_OUT = '/proc/self/fd/7/../../../bin/busybox';

/** A tree: files with what is in them, and links by `->`. */
function rootfs(t: TestContext, files: Record<string, string>): string {
  const root = join(temporaryFolder(t), 'rootfs');
  for (const [name, content] of Object.entries({ 'bin/sh': '\x7fELF', ...files })) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (content.startsWith('->')) symlinkSync(content.slice(2), path);
    else writeFileSync(path, content);
  }
  return root;
}

test('passesMountPoint() lets a program be, and a script, and links between them', (t) => {
  const root = rootfs(t, {
    'usr/bin/busybox': '\x7fELF',
    'usr/bin/awk': '->../../bin/../usr/bin/busybox',
    'usr/bin/script': '#! /usr/bin/awk -f\n',
    'usr/bin/odd': '#!\n',
    'usr/bin/text': 'echo /proc/self/exe\n',
    'usr/proc/self/exe': '\x7fELF',
    sbin: '->usr/bin',
    long: `#!/${'x/'.repeat(3000)}`,
    loop: '->loop',
    nothing: '->/nothing/at/all',
  });
  mkfifo(join(root, 'fifo'), 0o755);
  for (const name of ['/bin/sh', 'sbin/awk', '/sbin/script', '/usr/bin/odd', '/usr/bin/text', '/usr/proc/self/exe'])
    assert.equal(passesMountPoint(root, [name]), false, name);
  for (const name of ['/long', '/loop', '/nothing', '/fifo', '/', '', '..', '/bin/sh/', '/bin/sh/..', '/bin/sh/proc'])
    assert.equal(passesMountPoint(root, [name]), false, name);
});

test('passesMountPoint() sees a program that is looked up by way of a mount point', (t) => {
  const root = rootfs(t, { 'proc/self/exe': '\x7fELF', 'proc/bin/busybox': '\x7fELF', 'dev/fd/x': '\x7fELF' });
  for (const name of [WAY_OUT, '/proc/self/exe', 'proc/self/exe', '//bin/../../proc/self/exe', '/dev/fd/x', '/sys/x'])
    assert.equal(passesMountPoint(root, ['/bin/sh', name]), true, name);
  assert.equal(passesMountPoint(root, ['/proc/../bin/sh']), true, 'also where it comes back');
});

test('passesMountPoint() sees a link that leads there', (t) => {
  const root = rootfs(t, {
    program: `->${WAY_OUT}`,
    'bin/relative': `->..${WAY_OUT}`,
    folder: '->/proc/self/fd/7',
    'usr/twice': '->once',
    'usr/once': '->../folder/../../../bin/busybox',
    root: '->/',
    slash: '->.//./proc/self/exe',
  });
  for (const name of ['/program', 'bin/relative', '/folder/../x', '/usr/twice', '/root/root/proc/self/exe', '/slash'])
    assert.equal(passesMountPoint(root, [name]), true, name);
});

test('passesMountPoint() sees the interpreter of a script, and of an interpreter', (t) => {
  const root = rootfs(t, {
    plain: `#!${WAY_OUT}`,
    blanks: `#! \t${WAY_OUT} sh\n`,
    tab: `#!${WAY_OUT}\tsh\n`,
    relative: '#!proc/self/exe\n',
    link: '->plain',
    'by-link': '#!/link\n',
    third: '#!/second\n',
    second: '#!/first\n',
    first: '#!/plain\n',
  });
  for (const name of ['/plain', '/blanks', '/tab', '/relative', '/by-link', '/third'])
    assert.equal(passesMountPoint(root, [name]), true, name);
  const circle = rootfs(t, { a: '#!/b\n', b: '#!/a\n' });
  assert.equal(passesMountPoint(circle, ['/a']), false, 'the kernel gives up as well');
});

test('passesMountPoint() sees a shell that the C library would take for a file of no known format', (t) => {
  const root = rootfs(t, { 'usr/bin/program': '' });
  assert.equal(passesMountPoint(root, ['/usr/bin/program']), false);
  const evil = join(temporaryFolder(t), 'rootfs');
  mkdirSync(join(evil, 'bin'), { recursive: true });
  symlinkSync(WAY_OUT, join(evil, 'bin/sh'));
  assert.equal(passesMountPoint(evil, ['/usr/bin/program']), true);
});

test('passesMountPoint() reads names that are no UTF-8', (t) => {
  const root = rootfs(t, { ü: '->/proc/self/exe' });
  symlinkSync(Buffer.from('caf\xe9', 'latin1'), join(root, 'way'));
  symlinkSync('/proc/self/exe', Buffer.concat([Buffer.from(`${root}/`), Buffer.from('caf\xe9', 'latin1')]));
  assert.equal(passesMountPoint(root, ['/ü']), true);
  assert.equal(passesMountPoint(root, ['/way']), true);
});
