// Random choices that a seed repeats, and the values that programs trip over: what every target of the fuzz test is fed
// with.
//
// The rule that must hold: nothing else than the seed decides, so that a number is all that is needed to see a failure again.

/** Numbers at the edges of what programs count with. */
const EDGES = [
  0, 1, 2, 7, 8, 255, 256, 511, 512, 513, 4095, 4096, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53,
  2 ** 63, 2 ** 64,
]; // prettier-ignore

/** Pieces of text that mean something to somebody on the way. */
const PIECES = [
  '', ' ', '\n', '\r\n', '\t', '\0', '\x1b[2J', '"', "'", '`', '\\', '$(id)', '${HOME}', ';', '|', '&', '&&', '>', '<', '*', '?', '#',
  '%', '%s%n', '%00', '%2e%2e', '=', ':', ',', '/', '//', '.', '..', '../..', '/..', '-', '--', '-x', '--help', '-h', '-=', '---', '-a=',
  '{{hostname}}', '{', '}', '[', ']', '(', ')', '^', '.*', '(a*)*', '[[:alpha:]]', '\\p{L}', '\\Q', '(?P<n>', 'é', 'ü☃', '\u2028', '😀',
  '\ud800', '\udc00x', '\ufeff', '\uffff', 'a'.repeat(300), '/'.repeat(99), '__proto__', 'constructor', 'toString', 'lxc.hook.pre-start',
  'lxc.cap.drop =', '0', '-1', '1e9', '0x10', '010', '0b1', '+5', 'NaN', 'true', 'null', '~', '.wh.x', '.wh..wh..opq', '.wh...',
]; // prettier-ignore

/** A source of choices. */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    // Three rounds of a multiplicative hash over a counter: good enough to choose by, and nothing to be kept secret.
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * limit);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('Cannot pick from an empty list');
    return chosen;
  }

  /** `make` done up to `most` times. */
  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  /** A number from the edges, or one beside it. */
  edge(): number {
    return this.pick(EDGES) + this.below(3) - 1;
  }

  bytes(most: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(most + 1) }, () => this.below(256)));
  }

  /** Some pieces of text in a row. */
  text(most = 4): string {
    return this.list(most, () =>
      this.once(6) ? String(this.edge()) : this.once(5) ? String.fromCharCode(this.below(0x250)) : this.pick(PIECES),
    ).join('');
  }

  /** Any JSON value. */
  json(depth = 3): unknown {
    const kind = this.below(depth > 0 ? 7 : 5);
    if (kind === 0) return this.text();
    if (kind === 1) return this.edge() * this.pick([1, -1, 0.5]);
    if (kind === 2) return this.pick([null, true, false]);
    if (kind <= 4) return this.pick(['', 'ps', 'SIGINT', 1, 80]);
    if (kind === 5) return this.list(5, () => this.json(depth - 1));
    const keys = ['frames', 'args', 'tty', 'rows', 'cols', 'term', 'signal', '__proto__', 'toString', this.text(1)];
    return Object.fromEntries(this.list(5, () => [this.pick(keys), this.json(depth - 1)]));
  }

  /** `bytes` with a few things done to them that happen to bytes on their way. */
  mutate(bytes: Buffer, most = 3): Buffer {
    let changed: Buffer = Buffer.from(bytes);
    for (let left = 1 + this.below(most); left > 0; left--) changed = this.#mutateOnce(changed);
    return changed;
  }

  /** `bytes` in pieces, cut anywhere, at times at every byte. */
  split(bytes: Buffer): Buffer[] {
    const most = this.pick([1, 2, 20, 600, bytes.length + 1]);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = 1 + this.below(most);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    return pieces;
  }

  #mutateOnce(bytes: Buffer): Buffer {
    const at = this.below(bytes.length + 1);
    const length = Math.min(this.pick([1, 2, 4, 8, 12, 100, 512]), bytes.length - at);
    const [before, piece, after] = [
      bytes.subarray(0, at),
      bytes.subarray(at, at + length),
      bytes.subarray(at + length),
    ];
    switch (this.below(8)) {
      case 0: {
        const flipped = Buffer.from(bytes);
        if (at < bytes.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << this.below(8));
        return flipped;
      }
      case 1:
        return before; // cut off
      case 2:
        return Buffer.concat([before, after]);
      case 3:
        return Buffer.concat([before, piece, ...Array.from({ length: this.pick([1, 2, 50]) }, () => piece), after]);
      case 4:
        return Buffer.concat([before, Buffer.alloc(length, this.pick([0, 0x20, 0x2f, 0x30, 0x39, 0x80, 0xff])), after]);
      case 5:
        return Buffer.concat([before, Buffer.from(this.text(2)), after]);
      case 6:
        return Buffer.concat([before, this.bytes(length), after]);
      default: {
        const other = this.below(bytes.length + 1);
        return Buffer.concat([before, bytes.subarray(other, other + length), after]); // spliced in from elsewhere
      }
    }
  }
}

/** A JSON array in so many others, as text. */
export function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}
