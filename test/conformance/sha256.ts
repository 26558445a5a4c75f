// Ids are the start of a checksum.

import { createHash } from 'node:crypto';

/** The first 16 hex digits of the sha256. */
export function sha256Start(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
