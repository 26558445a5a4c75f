// How the benchmark measures: both sides in turn, in one run, on one machine; medians and their ratio.

/** What was measured, as it goes into the table and the JSON file. */
export interface Measured {
  /** what was done */
  what: string;
  ours: string;
  /** what it is compared with, and how that did; empty where it stands for itself */
  theirs: string;
  /** ours divided by theirs, or the figure that the bound is about */
  figure: number;
  /** what `figure` should not exceed */
  bound: number;
}

/** Something that is done again and again. */
export type Action<Result> = (run: number) => Promise<Result>;

/** Runs each side `runs` times, in turn, and gives the median duration of each, in milliseconds. */
export function inTurn<T extends string>(
  sides: Readonly<Record<T, Action<void>>>,
  runs: number,
): Promise<Record<T, number>> {
  const names = Object.keys(sides) as T[]; // an object literal has no other keys
  const timed = names.map((name) => [name, (run: number) => duration(() => sides[name](run))]);
  return figuresInTurn(Object.fromEntries(timed) as Record<T, Action<number>>, runs); // the same keys
}

/** The same for sides that know their figure themselves. */
export async function figuresInTurn<T extends string>(
  sides: Readonly<Record<T, Action<number>>>,
  runs: number,
): Promise<Record<T, number>> {
  const names = Object.keys(sides) as T[]; // an object literal has no other keys
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<T, number[]>;
  for (let run = 0; run < runs; run++) {
    // Not always the same one first: what is left in caches helps the second.
    for (const name of run % 2 === 0 ? names : [...names].reverse()) figures[name].push(await sides[name](run));
  }
  return Object.fromEntries(names.map((name) => [name, median(figures[name])])) as Record<T, number>;
}

/** How long that takes, in milliseconds. */
export async function duration(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** `12.3 ms`. */
export function ms(duration: number): string {
  return `${duration.toFixed(1)} ms`;
}
