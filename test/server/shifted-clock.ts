// A clock that can be set back under a running daemon, and under nobody else: preloaded by `node --import`, it shifts Date by
// as many milliseconds as a file says, at each look. Time that is measured (performance, timers) is not the clock's.

import { readFileSync } from 'node:fs';

const offsetFile = process.env['TSDOCK_TEST_CLOCK'] ?? '';
const RealDate = Date;
let offsetMs = 0;

function now(): number {
  try {
    offsetMs = Number(readFileSync(offsetFile, 'utf8'));
  } catch {
    // the test is over and has taken it away: it stays as it was
  }
  return RealDate.now() + offsetMs;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[]) => Reflect.construct(target, args.length === 0 ? [now()] : args) as object, // a Date
  get: (target, key) => (key === 'now' ? now : (Reflect.get(target, key) as unknown)),
});
