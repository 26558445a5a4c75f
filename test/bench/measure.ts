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

/** Runs each side `runs` times, in turn, and gives the median duration of each, in milliseconds. */
export async function inTurn<T extends string>(
  sides: Readonly<Record<T, (run: number) => Promise<void>>>,
  runs: number,
): Promise<Record<T, number>> {
  const names = Object.keys(sides) as T[]; // an object literal has no other keys
  const durations = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<T, number[]>;
  for (let run = 0; run < runs; run++) {
    // Not always the same one first: what is left in caches helps the second.
    for (const name of run % 2 === 0 ? names : [...names].reverse()) {
      const startedAt = performance.now();
      await sides[name](run);
      durations[name].push(performance.now() - startedAt);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(durations[name])])) as Record<T, number>;
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
