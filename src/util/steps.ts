// The step channel: what a command does to the machine, announced once, where it is done.
//
// A listener subscribes to the diagnostics channel `tsdock:step` and gets `Step` objects; `-D` and DEBUG=tsdock:* print
// them. Where nobody listens, a step costs one property read. The call a step belongs to travels in an
// AsyncLocalStorage that the dispatcher fills, so no function needs an extra parameter for it.

import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import createDebug from 'debug';

/** One thing done to the machine. */
export interface Step {
  /** what was done: `mount`, `spawn`, `umount`, … */
  name: string;
  /** the facts: paths, option strings, pids */
  facts: Record<string, unknown>;
  /** the 2013 function that did it, as `filesystem.go, Filesystem.Mount` */
  source: string;
  /** how long it took, in milliseconds, where it took time */
  durationMs: number | undefined;
  /** the call that it belongs to, or undefined for what the daemon does by itself */
  call: number | undefined;
}

/** The name of the channel that steps are announced on. */
export const STEP_CHANNEL = 'tsdock:step';
const steps = channel(STEP_CHANNEL);
const currentCall = new AsyncLocalStorage<number>();

/**
 * Runs `body` so that each step announced within belongs to call number `call`. Not for a call that begins while nobody
 * listens: once it carries one number, node 20 tells of every promise of the process from then on, and each gets dearer.
 */
export function withinCall<T>(call: number, body: () => T): T {
  return steps.hasSubscribers ? currentCall.run(call, body) : body();
}

/** Announces a step that is done. `facts` is a function, so that it costs nothing when nobody listens. */
export function step(name: string, source: string, facts: () => Record<string, unknown>, durationMs?: number): void {
  if (!steps.hasSubscribers) return;
  const announced: Step = { name, facts: facts(), source, durationMs, call: currentCall.getStore() };
  steps.publish(announced);
}

/** Does `body`, then announces it with its duration. What throws is not announced: its error tells. */
export async function timedStep<T>(
  name: string,
  source: string,
  facts: () => Record<string, unknown>,
  body: () => Promise<T> | T,
): Promise<T> {
  if (!steps.hasSubscribers) return body();
  const startedAt = performance.now();
  const result = await body();
  step(name, source, facts, performance.now() - startedAt);
  return result;
}

/** Prints each step from now on through the `debug` package, under `tsdock:NAME`. Returns the remover. */
export function printSteps(): () => void {
  const printers = new Map<string, createDebug.Debugger>();
  const onStep = (message: unknown): void => {
    const { name, facts, source, durationMs, call } = message as Step; // only `step` publishes on this channel
    let print = printers.get(name);
    if (print === undefined) printers.set(name, (print = createDebug(`tsdock:${name}`)));
    const took = durationMs === undefined ? '' : ` ${durationMs.toFixed(1)}ms`;
    print('%s%s%s  [%s]', call === undefined ? '' : `#${call} `, JSON.stringify(facts), took, source);
  };
  subscribe(STEP_CHANNEL, onStep);
  return () => unsubscribe(STEP_CHANNEL, onStep);
}
