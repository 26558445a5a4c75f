// The thread in which names are matched; `matchNames` starts one for each expression, and ends it. It has nothing open.

import { parentPort, workerData } from 'node:worker_threads';
import { RE2JS } from 're2js';
import { errorMessage } from '../util/errors.js';

/** What the worker is started with. */
export interface MatchWorkerData {
  pattern: string;
  names: readonly string[];
}

/** The one thing that the worker tells. */
export type FromMatchWorker = { matching: string[] } | { failed: string };

const { pattern, names } = workerData as MatchWorkerData; // matchNames gives it

function match(): FromMatchWorker {
  try {
    const expression = RE2JS.compile(pattern);
    return { matching: names.filter((name) => expression.matcher(name).find()) };
  } catch (error) {
    return { failed: errorMessage(error) }; // it says "error parsing regexp: ", as Go does
  }
}

parentPort?.postMessage(match());
