// `expect_b64`: exactly these bytes. `expect_sha256` with `expect_len`: bytes that are too many to be written down.

import { createHash } from 'node:crypto';
import { visible, type Mismatch } from '../mismatch.js';

/** Compares with bytes in Base64. */
export function judgeBase64(base64: string, reply: Buffer): Mismatch | undefined {
  const expected = Buffer.from(base64, 'base64');
  if (expected.equals(reply)) return undefined;
  const at = [...expected].findIndex((byte, index) => reply[index] !== byte);
  const place = at < 0 ? expected.length : at;
  const tell = (bytes: Buffer): string =>
    `${bytes.length} bytes, from ${place} on ${visible(bytes.toString('latin1', place, place + 40))}`;
  return {
    reason: `the bytes differ from the one at ${place} on`,
    lines: [
      { side: 'expected', text: tell(expected) },
      { side: 'got', text: tell(reply) },
    ],
  };
}

/** Compares with a length and a checksum. */
export function judgeSha256(sha256: string, length: number, reply: Buffer): Mismatch | undefined {
  const actual = createHash('sha256').update(reply).digest('hex');
  if (actual === sha256 && reply.length === length) return undefined;
  return {
    reason: 'the reply has another length or checksum',
    lines: [
      { side: 'expected', text: `${length} bytes, sha256 ${sha256}` },
      { side: 'got', text: `${reply.length} bytes, sha256 ${actual}` },
      { side: 'got', text: reply.toString('latin1', 0, 100) },
    ],
  };
}
