// Keeps a daemon as the cases expect it: no containers, the base image, and for the cases of March no other.

import { decode } from './bytes.js';
import type { Reference } from './case.js';
import type { Fixture } from './fixture.js';
import { visible } from './mismatch.js';
import { call, pause, restart, type Target } from './target.js';

const PUT_MS = 120_000;
const KILL_MS = 15_000;
/** An `rm` of the originals may hang; the last tries wait for those that only take their ten seconds. */
const RM_MS = [15_000, 15_000, 40_000, 40_000];
/** The originals cannot kill what has not quite started. */
const ORIGINAL_START_MS = 500;

/** See the head of the file. */
export class Housekeeper {
  readonly #target: Target;
  readonly #reference: Reference;
  readonly #fixture: Fixture;
  /** what `put base` and `images -q` say */
  readonly #base: string;

  constructor(target: Target, reference: Reference, fixture: Fixture) {
    this.#target = target;
    this.#reference = reference;
    this.#fixture = fixture;
    this.#base = `base:${fixture.hash}\n`;
  }

  /** Takes away what is there, and puts the base image. */
  async prepare(): Promise<void> {
    await this.#removeContainers();
    await this.#putBase();
  }

  /** Before and after each case. */
  async clean(): Promise<void> {
    await this.#removeContainers();
    if (this.#reference === 'mar7' && (await this.#call('images', '-q')) !== this.#base) await this.#putBase();
  }

  async #putBase(): Promise<void> {
    if (this.#reference === 'mar7') await this.#call('rmi', '-r', '.*');
    const reply = await call(this.#target, ['put', 'base'], this.#fixture.tar, PUT_MS);
    if (decode(reply) !== this.#base)
      throw new Error(`Cannot put the base image: ${visible(decode(reply))} is not ${visible(this.#base)}`);
  }

  /** One by one, and again: one that hangs must not keep the rest. */
  async #removeContainers(): Promise<void> {
    for (const [round, timeoutMs] of RM_MS.entries()) {
      const ids = await this.#ids('-a');
      if (ids.length === 0) return;
      const running = await this.#ids();
      if (running.length > 0) {
        if (this.#target.usage !== '2013') await pause(ORIGINAL_START_MS);
        await this.#tryCall(['kill', ...running], KILL_MS);
      }
      for (const id of ids) await this.#tryCall(['rm', id], timeoutMs);
      if (round > 0 && this.#target.restart !== undefined && (await this.#ids('-a')).length > 0)
        await restart(this.#target);
    }
    if ((await this.#ids('-a')).length > 0) {
      throw new Error(`Cannot remove the containers of the daemon: ${await this.#call('ps', '-a')}`);
    }
  }

  async #ids(...flags: string[]): Promise<string[]> {
    return (await this.#call('ps', ...flags, '-q')).split('\n').filter(Boolean);
  }

  async #call(...args: string[]): Promise<string> {
    return decode(await call(this.#target, args));
  }

  /** A call whose reply nobody wants, and that may not end: what it did is looked at afterwards. January has no kill. */
  async #tryCall(args: string[], timeoutMs: number): Promise<void> {
    try {
      await call(this.#target, args, Buffer.of(), timeoutMs);
    } catch {
      // the next look at the list tells
    }
  }
}
