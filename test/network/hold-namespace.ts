// Keeps a network namespace alive for as long as somebody wants it, and ends everything in it when nobody does any more.
//
// Started as `unshare --net --mount node hold-namespace.js`, with a pipe from the test as its input: the pipe closes when
// the test closes it, and also when the test is killed. Each line that comes is a folder: a data directory, or one of
// temporary files. At the end of the input every process in the namespace is killed, with every container of these
// folders, and the folders go with what is mounted below them.
//
// /sys shows the network namespace in which it was mounted, and lxc-start looks there for the bridge: hence a namespace for
// mounts too, whose /sys shows this one's interfaces.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cleanUp, processesOf, until } from '../harness.js';

const OWN = readlinkSync('/proc/self/ns/net');
const LOCKS = '/run/tsdock';
/** Where /sys tells of interfaces; the first has links to the second. */
const INTERFACES = ['class/net', 'devices/virtual/net'];

showInterfaces();
const folders: string[] = [];
const lines = createInterface({ input: process.stdin });
lines.on('line', (folder) => folders.push(folder));
const ended = new Promise((resolve) => lines.once('close', resolve));
process.stdout.on('error', () => undefined); // killed before it could read
process.stdout.write('ready\n');
await ended;

await until(() => killAll() === 0, 'everything in the namespace has ended');
for (const folder of folders) cleanUp(folder);
removeLocks();
process.exit(0);

/** Those of bridges: a daemon that was killed leaves them, named after the namespace. */
function removeLocks(): void {
  const [namespace = ''] = /\d+/.exec(OWN) ?? [];
  const locks = existsSync(LOCKS) ? readdirSync(LOCKS).filter((name) => name.endsWith(`-${namespace}.lock`)) : [];
  for (const name of locks) rmSync(join(LOCKS, name), { force: true });
}

/** The cgroups, which are mounted below /sys, stay where they are. */
function showInterfaces(): void {
  const own = mkdtempSync(join(tmpdir(), 'tsdock-test-sys-'));
  execFileSync('mount', ['-t', 'sysfs', 'sysfs', own]);
  for (const name of INTERFACES) execFileSync('mount', ['--bind', join(own, name), join('/sys', name)]);
  execFileSync('umount', [own]);
  rmdirSync(own);
}

/** Kills what there is, and returns how much that was. The daemon first: it would see the end of its containers. */
function killAll(): number {
  const here = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && isHere(pid));
  const pids = [...here, ...folders.flatMap(processesOf).map((line) => line.split(' ')[1] ?? '')];
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  return pids.length;
}

function isHere(pid: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === OWN;
  } catch {
    return false; // it has ended meanwhile, or is a zombie
  }
}
