// Which command the program is by its name, and how it is run again.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { commandNamed, programWords } from '../../src/client/program-name.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { PROGRAM } from '../harness.js';
import { OriginalDaemon } from './original-daemon.js';

test('commandNamed() is the command that a link is named after', () => {
  for (const path of ['ps', './ps', '/usr/local/bin/ps', '/x/ps.js']) assert.equal(commandNamed(path), 'ps', path);
  assert.equal(commandNamed('/usr/local/bin/Rmi'), 'Rmi');
});

test('commandNamed() is nothing for the names of the program itself', () => {
  for (const path of [
    'tsdock',
    '/x/dist/src/tsdock.cjs',
    'node_modules/.bin/tsdock',
    '/usr/bin/docker',
    'tsdock-0.1.0',
    'tsdock.mjs',
    '',
  ])
    assert.equal(commandNamed(path), undefined, path);
  assert.equal(commandNamed(undefined), undefined);
});

test('programWords() is node and the script, links followed', (t) => {
  const folder = temporaryFolder(t);
  const [script, link] = [join(folder, 'tsdock.cjs'), join(folder, 'tsdock')];
  writeFileSync(script, '');
  symlinkSync(script, link);
  for (const path of [script, link]) assert.deepEqual(programWords(process.execPath, path), [process.execPath, script]);
});

test('programWords() is the executable alone where it is the whole program, however it was called', (t) => {
  const folder = temporaryFolder(t);
  const [program, link] = [join(folder, 'tsdock'), join(folder, 'ps')];
  writeFileSync(program, '');
  symlinkSync(program, link);
  for (const typed of ['tsdock', './tsdock', '../tsdock', link, program, undefined])
    assert.deepEqual(programWords(program, typed), [program], typed);
});

test('tsdock under the name of a command sends that command, with its flags as they are', async (t) => {
  const folder = temporaryFolder(t);
  const daemon = await OriginalDaemon.start();
  t.after(() => daemon.close());
  mkdirSync(join(folder, 'bin'));
  const called = async (name: string, ...args: string[]): Promise<void> => {
    symlinkSync(PROGRAM, join(folder, 'bin', name));
    const { execFile } = await import('node:child_process');
    await new Promise<void>((resolve) => {
      const options = { env: { ...process.env, DOCKER: daemon.address } };
      execFile(process.execPath, [join(folder, 'bin', name), ...args], options, () => resolve()).stdin?.end();
    });
  };
  await called('ps', '-a');
  assert.equal(daemon.lines.at(-1), '["ps","-a"]');
  await called('run', '-d', 'base', 'ls');
  assert.equal(daemon.lines.at(-1), '["run","base","ls"]');
  await called('docker', 'ps');
  assert.equal(daemon.lines.at(-1), '["ps"]');
  assert.match(execFileSync(process.execPath, [join(folder, 'bin', 'docker'), '--help']).toString(), /Usage: tsdock /);
});
