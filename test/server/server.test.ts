// Every command has one declaration, and every declaration one method.

import assert from 'node:assert/strict';
import test from 'node:test';
import { getMethod } from '../../src/rcli/dispatch.js';
import { COMMANDS, Server } from '../../src/server/server.js';

/** The words of all Cmd* functions that the prototype chain of Server declares. */
function methodWords(): string[] {
  const words: string[] = [];
  for (
    let level: unknown = Server.prototype;
    level instanceof Object && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const name of Object.getOwnPropertyNames(level))
      if (name.startsWith('Cmd')) words.push(name.slice(3).toLowerCase());
  }
  return words.sort();
}

test('COMMANDS declares each Cmd* method of Server exactly once, and nothing else', () => {
  assert.ok(methodWords().length > 10);
  assert.deepEqual(COMMANDS.map(({ name }) => name).sort(), methodWords());
});

test('getMethod() finds a method for each declaration', () => {
  const service: unknown = Object.create(Server.prototype);
  assert.ok(service instanceof Server);
  for (const { name } of COMMANDS) assert.equal(typeof getMethod(service, name), 'function', name);
});

test('COMMANDS says of each command how it is called and what it does', () => {
  for (const { name, synopsis, description, flags } of COMMANDS) {
    assert.match(name, /^[a-z]+$/);
    assert.match(description, /^[A-Z].*[^.]$/, name);
    assert.doesNotMatch(`${synopsis}${description}`, /\n/);
    for (const [flag, { text }] of Object.entries(flags))
      assert.ok(/^[\w-]+$/.test(flag) && text !== '', `${name} -${flag}`);
  }
});

test('COMMANDS lets a refused run, start or attach end the client with 125', () => {
  const statuses = COMMANDS.map(({ name, failureStatus }) => [name, failureStatus] as const);
  for (const [name, status] of statuses)
    assert.equal(status, ['run', 'start', 'attach'].includes(name) ? 125 : 1, name);
});
