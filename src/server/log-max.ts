// The bound of the logs as the daemon's flag `--log-max` says it.
//
// 2013: none. The logs of March grew without a bound.

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
/** The smallest bound: with less, what is printed at once would not fit. */
const LEAST_BYTES = 64 * 1024;

/** `100m` in bytes; 0 for any amount. Throws for what is no size. */
export function parseLogMax(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,15})([bkmgt]?)b?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
  if (digits !== '' && Number.isSafeInteger(bytes) && (bytes === 0 || bytes >= LEAST_BYTES)) return bytes;
  throw new Error(`Invalid --log-max "${text}": expected a size such as 100m, at least 64k, or 0 for any amount`);
}
