// Which names a regular expression matches, as Go reads it: RE2's syntax, and anywhere in the name.
//
// RE2 has no expression that takes for ever, but a long one on many names can take minutes. So a thread of its own does it,
// with bounds on its time and memory, and the daemon's own never waits.
//
// DIFFERS D23: the original set no bounds.
//
// 2013: image/image.go, Index.DeleteMatch (regexp.MatchString)

import { errorMessage } from '../util/errors.js';
import { startWorker } from '../util/program-files.js';
import type { FromMatchWorker, MatchWorkerData } from './match-worker.js';

const MATCH_TIMEOUT_MS = 5_000;
const MATCH_MEMORY_MB = 128;

/**
 * Those of `names` that the expression matches. Rejects with Go's text for one that cannot be read, and with why for one
 * that takes too much.
 */
export async function matchNames(pattern: string, names: readonly string[]): Promise<string[]> {
  const workerData: MatchWorkerData = { pattern, names };
  const resourceLimits = { maxOldGenerationSizeMb: MATCH_MEMORY_MB };
  const worker = startWorker(new URL('./match-worker.js', import.meta.url), {
    name: 'match',
    workerData,
    resourceLimits,
  });
  let timer;
  try {
    const said = await new Promise<FromMatchWorker>((resolve, reject) => {
      const fail = (reason: string): void => reject(new Error(`Cannot match the regular expression: ${reason}`));
      timer = setTimeout(() => fail(`it takes more than ${MATCH_TIMEOUT_MS / 1000} seconds`), MATCH_TIMEOUT_MS);
      worker.once('message', resolve);
      worker.once('error', (error) => fail(errorMessage(error)));
      worker.once('exit', () => fail('its thread ended early'));
    });
    if ('failed' in said) throw new Error(said.failed);
    return said.matching;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
