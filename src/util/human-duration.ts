// How long ago, in words, as the tables of `ps` and `images` say it.
//
// 2013: future/future.go, HumanDuration

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 365 * DAY;

/** A duration of `seconds` in words, rounded down. A clock that was set back counts as no time. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second';
  if (seconds < MINUTE) return count(seconds, 1, 'seconds');
  if (seconds < 2 * MINUTE) return 'About a minute';
  if (seconds < HOUR) return count(seconds, MINUTE, 'minutes');
  if (seconds < 2 * HOUR) return 'About an hour';
  if (seconds < 2 * DAY) return count(seconds, HOUR, 'hours');
  if (seconds < 2 * WEEK) return count(seconds, DAY, 'days');
  if (seconds < 3 * MONTH) return count(seconds, WEEK, 'weeks');
  if (seconds < 2 * YEAR) return count(seconds, MONTH, 'months');
  return count(seconds, YEAR, 'years');
}

function count(seconds: number, unitSeconds: number, name: string): string {
  return `${Math.floor(seconds / unitSeconds)} ${name}`;
}
