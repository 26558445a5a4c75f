// What a curve of the benchmark is: a cost over a number of things, measured at some of these numbers.

import type { Unit } from './measure.js';

/** One plot. */
export interface Curve {
  title: string;
  /** what is counted along the axis */
  things: string;
  unit: Unit;
  series: readonly Series[];
}

/** One line in it. */
export interface Series {
  name: string;
  /** what it should do: stay as it is, or grow no faster than the number of things */
  expected: 'flat' | 'linear';
  /** number and cost, by number */
  points: readonly (readonly [number, number])[];
}
