// `expect`: a template of the whole reply. `expect_contains`: templates of single lines, which come in this order, whatever
// stands between them.

import type { Bindings } from '../bindings.js';
import { linesOf } from '../bytes.js';
import { textMismatch, visible, type Mismatch } from '../mismatch.js';
import { matches } from '../pattern.js';

/** Compares the whole reply. */
export function judgeText(template: string, reply: Buffer, bindings: Bindings): Mismatch | undefined {
  if (matches(template, reply, bindings)) return undefined;
  return textMismatch('the reply differs', template, reply, bindings);
}

/** Looks for each line behind the one before. */
export function judgeContains(templates: string[], reply: Buffer, bindings: Bindings): Mismatch | undefined {
  const lines = linesOf(reply.toString('latin1')).map((line) => Buffer.from(line, 'latin1'));
  let at = 0;
  for (const template of templates) {
    const found = lines.findIndex((line, index) => index >= at && matches(template, line, bindings));
    if (found < 0) {
      const reason = `no line ${visible(bindings.fillKnown(template))} behind line ${at}`;
      return textMismatch(reason, templates.join(''), reply, bindings);
    }
    at = found + 1;
  }
  return undefined;
}
