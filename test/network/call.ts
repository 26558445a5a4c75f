// Calls a function in a network namespace: `callInside` starts this file there as a program, which prints as JSON what the
// function returns.
//
//     node call.js URL-OF-MODULE FUNCTION ARGUMENTS

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.js';

const SELF = fileURLToPath(import.meta.url);

/** Calls the export `name` of a module, which must take and return what JSON can hold: what it returned, null for undefined. */
export async function callInside(
  namespace: Namespace,
  module: URL,
  name: string,
  ...args: unknown[]
): Promise<unknown> {
  return JSON.parse(await namespace.exec(process.execPath, SELF, module.href, name, JSON.stringify(args)));
}

const [program, url = '', name = '', args = '[]'] = process.argv.slice(1);
if (program === SELF) {
  const exports = (await import(url)) as Record<string, unknown>; // of any type: asked below
  const called = exports[name];
  assert.ok(typeof called === 'function', `${url} has no function ${name}`);
  const result: unknown = await Reflect.apply(called, undefined, JSON.parse(args) as unknown[]); // by `callInside`
  process.stdout.write(JSON.stringify(result ?? null));
}
