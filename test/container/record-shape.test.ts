// Whether an object from config.json is the record of a container, and what of it is sound where it is not.

import assert from 'node:assert/strict';
import test from 'node:test';
import { objectIn, type JsonObject } from '../../src/container/container-file.js';
import { NO_LAYERS, recordProblem, soundPart } from '../../src/container/record-shape.js';

const LAYERS = '/var/lib/tsdock/images/layers';
const TIME = '2013-01-29T17:04:05.123456789Z';
const RECORD: JsonObject = {
  Id: 'e17e4a55',
  Created: TIME,
  Path: '/bin/sh',
  Args: ['-c', 'true'],
  Config: {
    Hostname: '',
    User: '',
    Term: 'xterm',
    Net: 'host',
    Ram: 0,
    Ports: null,
    PortSpecs: ['80'],
    Tty: false,
    OpenStdin: true,
  },
  State: { Running: true, Pid: 7, ExitCode: -1, StartTicks: 5, Signal: 9, StartedAt: TIME, FinishedAt: TIME },
  Filesystem: { Layers: [`${LAYERS}/0123456789abcdef`] },
};

/** Values of no use, of every type that JSON has. */
const VALUES: readonly unknown[] = [null, true, 1, 1.5, 'text', ['text'], [1], { key: 'text' }];

/** What each member may be, of `VALUES`: others are of another type. */
const FITTING: Readonly<Record<string, readonly unknown[]>> = {
  Created: [],
  Path: ['text'],
  Args: [null, ['text']],
  Config: [{ key: 'text' }],
  State: [{ key: 'text' }],
  'Config Hostname': ['text'],
  'Config User': ['text'],
  'Config Term': ['text'],
  'Config Net': ['text'],
  'Config Ram': [1],
  'Config Ports': [null, ['text'], [1]],
  'Config PortSpecs': [null, ['text']],
  'Config Tty': [true],
  'Config OpenStdin': [true],
  'State Running': [true],
  'State Pid': [1],
  'State ExitCode': [1],
  'State StartTicks': [1],
  'State Signal': [1],
  'State StartedAt': [],
  'State FinishedAt': [],
};

/** The record with another value where `names` lead, or with none. */
function withValue(names: string, value: unknown): JsonObject {
  const [first = '', second] = names.split(' ');
  if (second === undefined) return { ...RECORD, [first]: value };
  return { ...RECORD, [first]: { ...objectIn(RECORD, first), [second]: value } };
}

test('recordProblem() finds nothing wrong with a record of ours, nor with what a record may lack or has more', () => {
  assert.equal(recordProblem(RECORD), undefined);
  for (const names of Object.keys(FITTING).filter((name) => !['Path', 'Config'].includes(name)))
    assert.equal(recordProblem(withValue(names, undefined)), undefined, `without ${names}`);
  assert.equal(recordProblem(withValue('Config Newer', [1])), undefined);
  assert.equal(recordProblem({ ...RECORD, Newer: 1 }), undefined);
});

test('recordProblem() names the member that is of another type', () => {
  for (const [names, fitting] of Object.entries(FITTING)) {
    for (const value of VALUES) {
      const isFitting = fitting.some((each) => JSON.stringify(each) === JSON.stringify(value));
      const expected = isFitting ? undefined : `its ${names.split(' ').at(-1) ?? ''} is of another type`;
      assert.equal(recordProblem(withValue(names, value)), expected, `${names}: ${JSON.stringify(value)}`);
    }
  }
});

test('recordProblem() names what a record must have', () => {
  for (const name of ['Path', 'Config', 'Filesystem'])
    assert.equal(recordProblem(withValue(name, undefined)), `it has no ${name}`);
  assert.equal(recordProblem(withValue('Filesystem', [])), 'its Filesystem is of another type');
});

test('recordProblem() refuses layers that are none, or of which one is no name of a layer', () => {
  const layer = `${LAYERS}/0123456789abcdef`;
  for (const layers of [undefined, null, 'text', {}, [], [1], [layer, ''], [layer, '/'], [layer, `${LAYERS}/..`], [layer, 'a,b'], [layer, 'a:b']])
    assert.equal(recordProblem(withValue('Filesystem Layers', layers)), NO_LAYERS, JSON.stringify(layers)); // prettier-ignore
  assert.equal(recordProblem(withValue('Filesystem Layers', ['/moved/from/elsewhere/0123456789abcdef'])), undefined);
});

test('soundPart() keeps the members of the right type, and those that are not known, and drops the others', () => {
  assert.deepEqual(soundPart(RECORD), RECORD);
  for (const [names, fitting] of Object.entries(FITTING)) {
    if (names === 'Config' || names === 'State') continue;
    for (const value of VALUES) {
      if (fitting.some((each) => JSON.stringify(each) === JSON.stringify(value))) continue;
      const sound = JSON.stringify(soundPart(withValue(names, value)));
      assert.equal(sound, JSON.stringify(withValue(names, undefined)), `${names}: ${JSON.stringify(value)}`);
    }
  }
  const newer = { ...withValue('Config Newer', [1]), Newer: 1 };
  assert.deepEqual(soundPart(newer), newer);
});

test('soundPart() has an object for Config always, and State only where it is one', () => {
  assert.deepEqual(soundPart({ Config: 'text', State: 'text' }), { Config: {} });
  assert.deepEqual(soundPart({ State: {} }), { State: {}, Config: {} });
});
