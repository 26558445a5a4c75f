// Loaded into a daemon before its own modules (budget.ts): notes when each step was announced, and writes that into the file
// that its address names when the daemon ends. In between it only remembers, so that a run costs what it always does.

import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** A step, and when it was announced: in milliseconds since 1970, with their fractions. */
export interface StepTime {
  name: string;
  atMs: number;
}

const file = new URL(import.meta.url).searchParams.get('file');
const times: StepTime[] = [];

// The children of a daemon that are node's inherit the option that loads this; they announce nothing.
if (file !== null && isMainThread) {
  subscribe('tsdock:step', (message) => {
    const { name } = message as { name: string }; // only `step` publishes on this channel
    times.push({ name, atMs: performance.timeOrigin + performance.now() });
  });
  process.once('exit', () => {
    if (times.length > 0) writeFileSync(file, JSON.stringify(times));
  });
}
