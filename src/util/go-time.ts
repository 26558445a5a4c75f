// Times as Go writes them in JSON (RFC 3339 with up to nine decimals) and as its log package prints them.

/** The time that Go's zero value has: "never". */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

/** The moment `ms` (since 1970, in milliseconds) as Go's time.Time marshals it: no trailing zeros in the decimals. */
export function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z');
}

/** A longer one has more decimals than a Date takes: `2013-01-29T17:04:05.123Z`. */
const LONGEST_PLAIN_TIME = 24;

/** The moment of a time from JSON, in milliseconds since 1970; NaN where it is none. */
export function goTimeMs(text: string): number {
  return Date.parse(text.length <= LONGEST_PLAIN_TIME ? text : text.replace(/(\.\d{3})\d+/, '$1'));
}

/** The moment as Go's log package prints it, in the machine's own time zone: `2013/01/29 17:04:05`. */
export function goLogTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('/');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
