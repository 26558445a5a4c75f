// How the benchmark measures: all sides in turn, in one run, on one machine; medians and their ratios.

import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';

/** What a row is held against. */
export interface Against {
  /** a name of `beside`, whose figure ours is divided by; without it our own figure counts */
  to?: string;
  /** what must hold (DESIGN section 9, and what was promised of each part) */
  bound?: number;
  /** what would be better still */
  ambition?: number;
  /** the bound is the least and not the most that may be */
  isLeast?: boolean;
}

/** What was measured, as it goes into the table and the JSON file. */
export interface Measured {
  /** what was done */
  what: string;
  unit: Unit;
  ours: number;
  /** who did the same, and how; undefined where that is not there to compare with */
  beside?: Readonly<Record<string, number | undefined>>;
  against?: readonly Against[];
  /** what else is to be known of it */
  note?: string;
}

/** What figures are in. */
export type Unit = 'ms' | 'MB' | 'MB/s' | 'calls' | 'lines';

/** A figure that is held against something. */
export interface Verdict {
  /** what it is divided by; undefined where it stands for itself */
  to: string | undefined;
  figure: number;
  bound: number | undefined;
  isMet: boolean | undefined;
  ambition: number | undefined;
  isAmbitionMet: boolean | undefined;
  isLeast: boolean;
}

/** Something that is done again and again. */
export type Action<Result> = (run: number) => Promise<Result>;

/** How a row does; what is not there to compare with gives no verdict. */
export function verdictsOf({ ours, beside = {}, against = [] }: Measured): Verdict[] {
  return against.flatMap(({ to, bound, ambition, isLeast = false }) => {
    const other = to === undefined ? 1 : beside[to];
    if (other === undefined) return [];
    // No finer than it is shown, so that what is shown and what is said of it agree.
    const figure = to === undefined ? ours : Math.round((ours / other) * 100) / 100;
    const holds = (limit: number | undefined): boolean | undefined =>
      limit === undefined ? undefined : isLeast ? figure >= limit : figure <= limit;
    return [{ to, figure, bound, isMet: holds(bound), ambition, isAmbitionMet: holds(ambition), isLeast }];
  });
}

/** Runs each side `runs` times, in turn, and gives the median of the figures that each has. A side may be missing. */
export async function figuresInTurn<T extends string>(
  sides: Readonly<Partial<Record<T, Action<number>>>>,
  runs: number,
): Promise<Partial<Record<T, number>>> {
  const present = sidesOf(sides);
  const figures = new Map(present.map(([name]) => [name, [] as number[]]));
  for (let run = 0; run < runs; run++) {
    // Not always the same one first: what is left in caches helps the second.
    for (const [name, action] of run % 2 === 0 ? present : [...present].reverse()) {
      figures.get(name)?.push(await action(run));
    }
  }
  const medians = [...figures].map(([name, values]) => [name, median(values)]);
  return Object.fromEntries(medians) as Partial<Record<T, number>>; // the same keys
}

/** The same, begun when nothing of what was done before is still to be written: an fsync would wait for that as well. */
export function settled<Result>(action: Action<Result>): Action<Result> {
  return (run) => {
    execFileSync('sync', ['-f', tmpdir()]);
    return action(run);
  };
}

/** How long that takes, in milliseconds. */
export async function duration(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

/** The middle one; the upper one of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** As many as that, side by side. */
export function inParallel<T>(count: number, action: (at: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => action(at)));
}

function sidesOf<T extends string, R>(sides: Readonly<Partial<Record<T, Action<R>>>>): [T, Action<R>][] {
  return (Object.entries(sides) as [T, Action<R> | undefined][]).flatMap(([name, action]) =>
    action === undefined ? [] : [[name, action]],
  ); // an object literal has no other keys
}
