// The thread of thread-jobs.test.ts: does what each job says, and says in which thread.

import { once } from 'node:events';
import { threadId } from 'node:worker_threads';
import { serveJobs } from '../../src/util/serve-jobs.js';

/** What a job is to do: `chatter` says a thousand things more, `die` takes the thread with it, `grow` leaves much memory behind. */
export type Order = 'say' | 'chatter' | 'wait' | 'throw' | 'die' | 'grow';

const GROWN_BYTES = 64 * 1024 * 1024;
let held: Uint8Array | undefined;

serveJobs((data, port, end) => {
  const order = data as Order; // the test gives it
  port.postMessage(threadId);
  if (order === 'chatter') for (let nth = 0; nth < 1000; nth++) port.postMessage(nth);
  if (order === 'throw') throw new Error('broken on purpose');
  if (order === 'die') process.exit(1);
  if (order === 'grow') held = new Uint8Array(GROWN_BYTES).fill(held?.length ?? 1);
  if (order === 'wait') void once(port, 'message').then(end);
  else end();
});
