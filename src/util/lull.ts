// Waiting until nobody comes: for work that can, so that callers need not.
//
// Node takes one new connection in each turn of its loop. Two hundred that come in one moment are taken within 40 ms where
// nothing else is done in these turns, and one after the other where each turn does some work for the first of them. Then
// whoever comes behind them waits for all of it. The servers tell of each connection; `Turns` waits.
//
// 2013: none; each call had a goroutine

import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest wait, in milliseconds: who comes again and again must not stop all work. */
const LONGEST_MS = 200;

let arrivals = 0;

/** Somebody has come. */
export function noteArrival(): void {
  arrivals++;
}

/** Resolves after a turn of the loop in which nobody came. */
export async function lull(): Promise<void> {
  const startedAt = performance.now();
  await nextTurn(); // the turn that this one is part of is over
  let seen;
  do {
    seen = arrivals;
    await nextTurn();
  } while (arrivals !== seen && performance.now() - startedAt < LONGEST_MS);
}
