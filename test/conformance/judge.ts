// Compares what a step observed with what was recorded of it. The token values that this gives are kept where it passes.

import type { Bindings } from './bindings.js';
import type { Step } from './case.js';
import { encode } from './bytes.js';
import { judgeBase64, judgeSha256 } from './expectations/bytes.js';
import { judgeJson } from './expectations/json.js';
import { judgeTable } from './expectations/table.js';
import { judgeContains, judgeText } from './expectations/text.js';
import { judgeOverview, judgeUsage, type UsageForm } from './expectations/usage.js';
import type { Mismatch } from './mismatch.js';
import { listTar } from './tar-listing.js';

/** What came of a step. */
export interface Observation {
  bytes: Buffer;
  /** of an HTTP reply; the type is empty where there was none */
  status?: number;
  contentType?: string;
}

/** What is wrong, or nothing. */
export function judge(
  step: Step,
  { bytes, status, contentType }: Observation,
  bindings: Bindings,
  form: UsageForm,
): Mismatch | undefined {
  if (step.expect_status !== undefined && step.expect_status !== status) {
    return { reason: `the status is ${String(status)}, not ${step.expect_status}` };
  }
  if (step.expect_ctype !== undefined && step.expect_ctype !== contentType) {
    return { reason: `the content type is "${String(contentType)}", not "${step.expect_ctype}"` };
  }
  if (step.expect_usage !== undefined) return judgeUsage(step.expect_usage, form, bytes, bindings);
  if (step.expect_overview !== undefined) return judgeOverview(step.expect_overview, bytes, bindings);
  if (step.expect_json !== undefined)
    return judgeJson(step.expect_json, step.json_layout ?? 'compact', bytes, bindings);
  if (step.expect_tar !== undefined) {
    return judgeText(step.expect_tar, encode(listTar(bytes, step.tar_filter)), bindings);
  }
  if (step.expect_table !== undefined) return judgeTable(step.expect_table, bytes, bindings);
  if (step.expect_b64 !== undefined) return judgeBase64(step.expect_b64, bytes);
  if (step.expect_sha256 !== undefined) return judgeSha256(step.expect_sha256, step.expect_len ?? 0, bytes);
  if (step.expect_contains !== undefined) return judgeContains(step.expect_contains, bytes, bindings);
  if (step.expect !== undefined) return judgeText(step.expect, bytes, bindings);
  return undefined;
}
