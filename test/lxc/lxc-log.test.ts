// How a container ended, by what LXC 5 writes into its log.

import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { asSignalled, lxcLogTime, parseLxcExit, parseProgramStart, readLxcExit } from '../../src/lxc/lxc-log.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const ID = 'lxc-start 0a1b2c3d 20261120200126.901';
const BEGINNING = [
  `${ID} INFO     confile - ../src/lxc/confile.c:set_config_idmaps:2267 - Read uid map`,
  `${ID} DEBUG    seccomp - ../src/lxc/seccomp.c:parse_config_v2:664 - Host native arch is [3221225534]`,
  `${ID} INFO     start - ../src/lxc/start.c:lxc_init:882 - Container "0a1b2c3d" is initialized`,
  `${ID} DEBUG    cgfsng - ../src/lxc/cgroups/cgfsng.c:cgfsng_setup_limits:3027 - Set "devices.deny" to "a"`,
];
const START_EXITED = `${ID} DEBUG    start - ../src/lxc/start.c:signal_handler:464 - Container init process 3590 exited`;
const ENDED = (how: string): string =>
  `${ID} INFO     error - ../src/lxc/error.c:lxc_error_set_and_log:31 - Child <3200> ended on ${how}`;
const ERROR = (where: string, text: string): string => `${ID} ERROR    ${where} - ../src/lxc/${where}.c:f:1 - ${text}`;

function log(...lines: string[]): string {
  return `${[...BEGINNING, ...lines].join('\n')}\n`;
}

test('parseLxcExit() reads the status of a program', () => {
  for (const status of [1, 3, 126, 255])
    assert.deepEqual(parseLxcExit(log(START_EXITED, ENDED(`error (${status})`))), {
      exitCode: status,
      signal: undefined,
      failure: undefined,
    });
});

test('parseLxcExit() reads the signal that ended a program', () => {
  for (const [how, signal] of [
    ['signal Killed(9)', 9],
    ['signal Terminated(15)', 15],
    ['signal Segmentation fault(11)', 11],
    ['signal Real-time signal 2(36)', 36],
  ] as const)
    assert.deepEqual(parseLxcExit(log(START_EXITED, ENDED(how))), { exitCode: -1, signal, failure: undefined });
});

test('parseLxcExit() takes an end without another word for status 0', () => {
  assert.deepEqual(parseLxcExit(log(START_EXITED)), { exitCode: 0, signal: undefined, failure: undefined });
});

test('parseLxcExit() takes complaints before a regular end for no failure', () => {
  const warning = ERROR('utils', 'No such file or directory - Failed to open "/proc/x"');
  assert.equal(parseLxcExit(log(warning, START_EXITED)).failure, undefined);
  assert.deepEqual(parseLxcExit(log(warning, START_EXITED, ENDED('error (7)'))).exitCode, 7);
});

test('parseLxcExit() tells of a program that cannot be executed: 127, and why', () => {
  const line = ERROR('start', 'No such file or directory - Failed to exec "/bin/bad"');
  assert.deepEqual(parseLxcExit(log(line)), {
    exitCode: 127,
    signal: undefined,
    failure: 'No such file or directory - Failed to exec "/bin/bad"',
  });
});

test('parseLxcExit() tells of a program that cannot be executed as LXC reports it in full', () => {
  const whole = log(
    `lxc-start 0a1b2c3d 20261120200126.901 ERROR    start - ../src/lxc/start.c:start:2197 - Permission denied - Failed to exec "/data/plain"`,
    ERROR('sync', 'An error occurred in another process (expected sequence number 7)'),
    START_EXITED,
    ERROR('lxccontainer', 'Received container state "ABORTING" instead of "RUNNING"'),
    ERROR('start', 'Failed to spawn container "0a1b2c3d"'),
  );
  const { exitCode, failure } = parseLxcExit(whole);
  assert.equal(exitCode, 127);
  assert.equal(failure, 'Permission denied - Failed to exec "/data/plain"');
});

test('parseLxcExit() tells of a container that could not be set up: the first complaint', () => {
  const first = ERROR('conf', 'Invalid argument - Failed to mount rootfs "/x" onto "/y"');
  assert.deepEqual(parseLxcExit(log(first, ERROR('start', 'Failed to spawn container'))), {
    exitCode: 255,
    signal: undefined,
    failure: 'Invalid argument - Failed to mount rootfs "/x" onto "/y"',
  });
});

test('parseLxcExit() takes a log that breaks off for a killed lxc-start', () => {
  for (const text of ['', log(), log().slice(0, 150)])
    assert.deepEqual(parseLxcExit(text), { exitCode: -1, signal: 9, failure: 'lxc-start was killed' });
});

test('parseLxcExit() takes the name of a program for no end', () => {
  const quoted = `${ID} NOTICE   start - ../src/lxc/start.c:start:2194 - Exec'ing "/data/a ended on error (9)"`;
  assert.equal(parseLxcExit(log(quoted, START_EXITED)).exitCode, 0);
});

test('readLxcExit() reads a file, and takes one that is missing for an empty one', (t) => {
  const path = join(temporaryFolder(t), 'lxc.log');
  assert.equal(readLxcExit(path).failure, 'lxc-start was killed');
  writeFileSync(path, log(START_EXITED, ENDED('error (5)')));
  assert.equal(readLxcExit(path).exitCode, 5);
});

test('readLxcExit() rejects where the log cannot be read', (t) => {
  assert.throws(() => readLxcExit(temporaryFolder(t)), { code: 'EISDIR' });
});

test('lxcLogTime() is when the last line was written, and now without a log', (t) => {
  const path = join(temporaryFolder(t), 'lxc.log');
  const before = Date.now();
  assert.ok(lxcLogTime(path) >= before);
  writeFileSync(path, '');
  utimesSync(path, 1_000, 1_355_270_400);
  assert.equal(lxcLogTime(path), 1_355_270_400_000);
});

test('parseProgramStart() is the moment of the exec, whose fraction lacks the zeros that it begins with', () => {
  const exec = (fraction: string): string =>
    `lxc-start c0ffee00 20261121192959.${fraction} NOTICE   start - ../src/lxc/start.c:start:2194 - Exec'ing "sh"\n`;
  const second = Date.parse('2026-11-21T19:29:59Z');
  assert.equal(parseProgramStart(exec('897'), second + 850.5), second + 897);
  assert.equal(parseProgramStart(exec('897'), second + 41), second + 89);
  assert.equal(parseProgramStart(exec('897'), second + 3), second + 8);
  assert.equal(parseProgramStart(exec('897'), second - 20), second + 8);
  assert.equal(parseProgramStart(exec('897'), second + 2_000), second + 897);
  assert.equal(parseProgramStart('', second), undefined);
});

test('asSignalled() takes 128 + n for the signal that was sent, and nothing else', () => {
  const exit = (exitCode: number): ReturnType<typeof parseLxcExit> => ({
    exitCode,
    signal: undefined,
    failure: undefined,
  });
  assert.deepEqual(asSignalled(exit(143), 'SIGTERM', true), { exitCode: -1, signal: 15, failure: undefined });
  assert.deepEqual(asSignalled(exit(137), 'SIGKILL', true), { exitCode: -1, signal: 9, failure: undefined });
  assert.deepEqual(asSignalled(exit(143), 'SIGKILL', true), exit(143));
  assert.deepEqual(asSignalled(exit(143), undefined, true), exit(143));
  assert.deepEqual(asSignalled(exit(3), 'SIGTERM', true), exit(3));
  assert.deepEqual(asSignalled(exit(143), 'SIGTERM', false), exit(143), 'a status of the program itself');
});

test('asSignalled() takes a start that was killed for no failure', () => {
  const failed = { exitCode: 255, signal: undefined, failure: 'Failed to spawn' };
  assert.deepEqual(asSignalled(failed, 'SIGKILL', true), {
    exitCode: -1,
    signal: constants.signals.SIGKILL,
    failure: undefined,
  });
  assert.deepEqual(asSignalled(failed, 'SIGTERM', true), failed);
});
