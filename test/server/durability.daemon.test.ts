// What a power cut could find: strace looks at a real daemon, and no file or tree gets its name before its content was
// synced, nor does a command end before the folder was.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fixtureTar } from '../fixture.js';
import { TestDaemon, until } from '../harness.js';

const CALLS = 'trace=write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2';

interface Call {
  name: string;
  /** of a descriptor, or both of a rename */
  paths: string[];
}

/** The calls of a trace that succeeded, in the order in which they ended. */
function callsOf(trace: string): Call[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      begun.set(pid, unfinished[1] ?? '');
      return [];
    }
    const whole = rest.replace(/^<\.\.\. \w+ resumed>/, () => begun.get(pid) ?? '');
    const [, name, args = ''] = /^(\w+)\((.*)\) += \d+/.exec(whole) ?? [];
    if (name === undefined) return [];
    const paths = name.startsWith('rename')
      ? [...args.matchAll(/"([^"]*)"/g)].map(([, path = '']) => path)
      : [/^\d+<([^>]*)>/.exec(args)?.[1] ?? ''];
    return [{ name, paths }];
  });
}

/**
 * The renames whose content, or whose folder, was not synced in time: before the rename; and for the folder of a new container
 * before anything is sent to a caller.
 */
function unsynced(calls: readonly Call[], directory: string): string[] {
  const dirty = new Set<string>(); // written, and not synced
  const problems: string[] = [];
  const awaited = new Set<string>(); // folders with a new name that is not synced
  const promised = new Set<string>(); // of a container that nobody was told of
  for (const { name, paths } of calls) {
    const [path = '', target = ''] = paths;
    if (/^(TCP|socket):/.test(path)) {
      problems.push(
        ...[...promised, ...(promised.size > 0 ? awaited : [])].map((each) => `${each}, and a caller is told`),
      );
    } else if (name === 'write' || name === 'pwrite64') dirty.add(path);
    else if (name === 'syncfs') dirty.clear();
    else if (name === 'fsync' || name === 'fdatasync') {
      for (const set of [dirty, awaited, promised]) set.delete(path);
    } else if (target.startsWith(directory)) {
      const inside = [...dirty].filter((each) => each === path || each.startsWith(`${path}/`));
      if (dirname(target) === join(directory, 'containers')) {
        for (const each of inside) promised.add(target + each.slice(path.length));
      } else problems.push(...inside.map(() => `${path} as ${target}`));
      promised.delete(target); // replaced by what is synced
      awaited.add(dirname(target));
    }
  }
  return [...problems, ...[...awaited, ...promised].map((each) => `${each} at the end`)];
}

test('put, commit, cp and run name nothing that is not on the disk', async (t) => {
  const daemon = await TestDaemon.start();
  t.after(() => daemon.close());
  const file = `${daemon.directory}.strace`;
  t.after(() => rmSync(file, { force: true }));
  const strace = spawn('strace', ['-f', '-y', '-s', '300', '-e', CALLS, '-o', file, '-p', String(daemon.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  strace.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => said.includes('attached'), 'strace is there');

  await daemon.callWith(Buffer.concat([fixtureTar().subarray(0, -1024), fixtureTar()]), 'put', 'other');
  const id = (await daemon.call('run', '-d', 'base', 'sh', '-c', 'echo changed > /data/one')).trim();
  await daemon.stopped(id);
  assert.match(await daemon.call('commit', id, 'made'), /^made:/);
  assert.match(await daemon.call('cp', 'made', 'copy'), /^copy:/);
  assert.equal(await daemon.call('rm', id), '');
  const ended = new Promise((resolve) => strace.once('close', resolve));
  strace.kill('SIGINT');
  await ended;

  const calls = callsOf(readFileSync(file, 'utf8'));
  const renamed = calls.filter(
    ({ name, paths }) => name.startsWith('rename') && paths[1]?.startsWith(daemon.directory),
  );
  assert.ok(renamed.length >= 8, `strace saw ${renamed.length} renames`);
  assert.deepEqual(unsynced(calls, daemon.directory), []);
});
