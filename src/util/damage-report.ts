// What of the data on disk turned out to be damaged, gathered while a daemon starts: for its log, and for `info`.
//
// Each room adds what it finds; `info` shows what still is so. A damaged file that was set aside may name layers that
// nothing else names any more: as long as it lies there no layer is freed, so that a person can mend it.
//
// 2013: none; a file that could not be read kept the daemon from starting

/** How long a line may become, in characters: it may quote what stands in a file. */
const LONGEST_LINE = 1000;

/** What else is to be known of a piece of damage. */
export interface DamageFacts {
  /** whether it is so still; for good where this is left out */
  isStillSo?: () => boolean;
  /** layers may be needed that nothing on record names */
  needsLayers?: boolean;
}

/** See the head of the file. */
export class DamageReport {
  readonly #log: (line: string) => void;
  readonly #found: { line: string; isStillSo: () => boolean; needsLayers: boolean }[] = [];

  constructor(log: (line: string) => void = () => undefined) {
    this.#log = log;
  }

  /** Tells of damage, in one line: what, where, why, and what was done. */
  add(text: string, { isStillSo = () => true, needsLayers = false }: DamageFacts = {}): void {
    // What a file holds must not make a second line, nor speak to a terminal.
    const clean = text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
    const line = clean.length > LONGEST_LINE ? `${clean.slice(0, LONGEST_LINE)}...` : clean;
    this.#found.push({ line, isStillSo, needsLayers });
    this.#log(`damage: ${line}`);
  }

  /** What is so still, in the order in which it was found. */
  get lines(): string[] {
    return this.#found.filter(({ isStillSo }) => isStillSo()).map(({ line }) => line);
  }

  /** Whether layers may be needed that no image and no container names. */
  get needsLayers(): boolean {
    return this.#found.some(({ needsLayers, isStillSo }) => needsLayers && isStillSo());
  }
}
