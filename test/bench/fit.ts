// How a curve grows: the exponent p of cost = a + b × number^p that fits best.
//
// A constant part hides the growth of the rest in a plain fit of the logarithms, so it is a part of what is fitted. What
// then grows less than noise does counts as flat: an exponent of noise means nothing.

/** How a curve grows. */
export interface Growth {
  /** of the part that grows; 0 where it is flat */
  exponent: number;
  /** the last cost divided by the first */
  factor: number;
  kind: 'flat' | 'no worse than linear' | 'worse than linear';
  text: string;
}

/** What a cost may rise to and still be called flat: machines are noisy. */
const FLAT_FACTOR = 1.5;
/** What is still linear, for the same reason. */
const LINEAR_EXPONENT = 1.25;
const LARGEST_EXPONENT = 3;
const EXPONENT_STEP = 0.01;

/** Says how these points, numbers with their costs, grow. They are at least two, by number. */
export function growthOf(points: readonly (readonly [number, number])[]): Growth {
  // The ends by two points each, so that no single one decides.
  const end = Math.max(1, Math.min(2, Math.floor(points.length / 2)));
  const mean = (some: typeof points): number => some.reduce((sum, [, cost]) => sum + cost, 0) / some.length;
  const factor = mean(points.slice(-end)) / mean(points.slice(0, end));
  if (!(factor > FLAT_FACTOR)) return { exponent: 0, factor, kind: 'flat', text: `flat (× ${factor.toFixed(2)})` };
  const { exponent } = fitPower(points);
  const kind = exponent > LINEAR_EXPONENT ? 'worse than linear' : 'no worse than linear';
  return { exponent, factor, kind, text: `${kind} (exponent ${exponent.toFixed(2)}, × ${factor.toFixed(1)})` };
}

/** The cost = a + b × number^exponent, a and b not below 0, that is nearest to the points, each by its own size. */
export function fitPower(points: readonly (readonly [number, number])[]): { a: number; b: number; exponent: number } {
  let best = { a: 0, b: 0, exponent: 0 };
  let least = Infinity;
  for (let exponent = EXPONENT_STEP; exponent <= LARGEST_EXPONENT; exponent += EXPONENT_STEP) {
    for (const { a, b } of candidates(points, exponent)) {
      const error = points.reduce((sum, [x, y]) => sum + ((a + b * x ** exponent - y) / y) ** 2, 0);
      if (error < least) [least, best] = [error, { a, b, exponent }];
    }
  }
  return best;
}

/** The least squares for that exponent; where that makes a or b negative, those without it. */
function candidates(points: readonly (readonly [number, number])[], exponent: number): { a: number; b: number }[] {
  // Divided by y, the equations are a/y + b·x^p/y = 1.
  let [uu, uv, vv, u1, v1] = [0, 0, 0, 0, 0];
  for (const [x, y] of points) {
    const [u, v] = [1 / y, x ** exponent / y];
    uu += u * u;
    uv += u * v;
    vv += v * v;
    u1 += u;
    v1 += v;
  }
  const determinant = uu * vv - uv * uv;
  const both = { a: (u1 * vv - v1 * uv) / determinant, b: (v1 * uu - u1 * uv) / determinant };
  return both.a >= 0 && both.b >= 0
    ? [both]
    : [
        { a: u1 / uu, b: 0 },
        { a: 0, b: v1 / vv },
      ];
}
