// Which of a daemon's calls to the kernel are to fail, and how: the memory that all threads of a daemon share with what
// makes its calls fail (`preload.ts`), and the table of what each cause does to each kind of call.
//
// A plan counts the calls that its cause would make fail, from when it is set; the N-th one fails, or it and all after it.
// One that fails does nothing: not half, as no call of these does.

import { getSystemErrorMap } from 'node:util';

/** What a call does to the disk, or takes of the process. */
export type CallKind =
  | 'open' // takes a descriptor
  | 'create' // makes a name, and so takes space
  | 'open to write' // of a file that is there
  | 'write'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'change' // owner, mode, time
  | 'mount';

/** What may be wrong with a machine, and the error that each kind of call then fails with; the others go on as ever. */
export const CAUSES = {
  'full disk': { create: 'ENOSPC', write: 'ENOSPC', sync: 'EIO', rename: 'ENOSPC', mount: 'ENOSPC' },
  'read-only disk': {
    create: 'EROFS',
    'open to write': 'EROFS',
    write: 'EROFS',
    rename: 'EROFS',
    remove: 'EROFS',
    change: 'EROFS',
    mount: 'EROFS',
  },
  'no file handles': { open: 'EMFILE' },
} as const satisfies Record<string, Partial<Record<CallKind, string>>>;

export type Cause = keyof typeof CAUSES;

/** A plan, as a test sets it. */
export interface Plan {
  cause: Cause;
  /** which call fails, from 1; 0 for none: they are only counted */
  at: number;
  /** all calls after it fail as well, as they do on a disk that stays full */
  isLasting: boolean;
}

/** What came of a plan. */
export interface Outcome {
  /** how many calls were counted */
  calls: number;
  /** what failed first, in words; empty where nothing did */
  failed: string;
}

/** Where the numbers stand in the shared memory, in 32-bit words; the text of the first failure follows. */
const [CAUSE, AT, LASTING, CALLS, LENGTH] = [0, 1, 2, 3, 4] as const;
const HEAD_BYTES = 32;
const TEXT_BYTES = 1024;
const CAUSE_NAMES = Object.keys(CAUSES) as Cause[]; // it has no other keys

/** See the head of the file. */
export class PlanMemory {
  readonly #numbers: Int32Array;
  readonly #text: Uint8Array;

  constructor(readonly buffer = new SharedArrayBuffer(HEAD_BYTES + TEXT_BYTES)) {
    this.#numbers = new Int32Array(buffer, 0, HEAD_BYTES / 4);
    this.#text = new Uint8Array(buffer, HEAD_BYTES);
  }

  /** Sets a plan, or none. */
  set(plan: Plan | undefined): void {
    Atomics.store(this.#numbers, CAUSE, 0);
    Atomics.store(this.#numbers, CALLS, 0);
    Atomics.store(this.#numbers, LENGTH, 0);
    if (plan === undefined) return;
    Atomics.store(this.#numbers, AT, plan.at);
    Atomics.store(this.#numbers, LASTING, plan.isLasting ? 1 : 0);
    Atomics.store(this.#numbers, CAUSE, CAUSE_NAMES.indexOf(plan.cause) + 1);
  }

  outcome(): Outcome {
    const length = Atomics.load(this.#numbers, LENGTH);
    const failed = Buffer.from(this.#text.slice(0, length)).toString();
    return { calls: Atomics.load(this.#numbers, CALLS), failed };
  }

  get isSet(): boolean {
    return Atomics.load(this.#numbers, CAUSE) !== 0;
  }

  /** Counts a call. The code that it is to fail with; undefined where it is to be made. `words` tells of it. */
  count(kind: CallKind, isOnDisk: boolean, words: () => string): string | undefined {
    const cause = CAUSE_NAMES[Atomics.load(this.#numbers, CAUSE) - 1];
    if (cause === undefined || (cause !== 'no file handles' && !isOnDisk)) return undefined;
    const code = (CAUSES[cause] as Partial<Record<CallKind, string>>)[kind];
    if (code === undefined) return undefined;
    const number = Atomics.add(this.#numbers, CALLS, 1) + 1;
    const at = Atomics.load(this.#numbers, AT);
    const isLasting = Atomics.load(this.#numbers, LASTING) !== 0;
    if (at === 0 || (number !== at && !(isLasting && number > at))) return undefined;
    if (Atomics.load(this.#numbers, LENGTH) === 0) {
      const text = Buffer.from(`${words()}: ${code}`).subarray(0, TEXT_BYTES);
      this.#text.set(text);
      Atomics.store(this.#numbers, LENGTH, text.length);
    }
    return code;
  }
}

/** The number and the words that the kernel and node have for an error. */
export function systemError(code: string): { number: number; text: string } {
  for (const [number, [name, text]] of getSystemErrorMap()) if (name === code) return { number: -number, text };
  throw new Error(`Cannot make a call fail with "${code}": there is no such error`);
}
