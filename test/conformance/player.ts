// Plays cases against one daemon, one at a time: takes away what is there, does the steps, compares, takes away again.
//
// All containers of the daemon go, and for the cases of March all images but `base`.

import { randomInt } from 'node:crypto';
import { Bindings } from './bindings.js';
import type { Case, Reference, Step } from './case.js';
import { makeFixture, type Fixture } from './fixture.js';
import { Housekeeper } from './housekeeper.js';
import { judge } from './judge.js';
import type { Mismatch } from './mismatch.js';
import { sha256Start } from './sha256.js';
import { Stage, StepFailure } from './stage.js';
import { pause, type Target } from './target.js';
import { WebServer } from './web-server.js';

/** Where and how a case failed. */
export interface Failure {
  /** counted from 1; none where it failed before its first step or after its last */
  step?: number;
  mismatch: Mismatch;
}

const RETRY_MS = 100;

/** Owns its web server until `close`. */
export class Player {
  readonly #target: Target;
  readonly #keeper: Housekeeper;
  readonly #fixture: Fixture;
  readonly #web: WebServer;

  private constructor(target: Target, reference: Reference, fixture: Fixture, web: WebServer) {
    this.#target = target;
    this.#keeper = new Housekeeper(target, reference, fixture);
    this.#fixture = fixture;
    this.#web = web;
  }

  /** Makes ready for the cases of one original, with a base image of its own where none is given. */
  static async start(target: Target, reference: Reference, fixture = makeFixture(reference)): Promise<Player> {
    return new Player(target, reference, fixture, await WebServer.start(fixture.tar));
  }

  close(): Promise<void> {
    return this.#web.close();
  }

  /** Takes away what is there, and puts the base image. */
  prepare(): Promise<void> {
    return this.#keeper.prepare();
  }

  /** Plays one case: how it failed, or nothing. */
  async play({ steps, serve = {} }: Case): Promise<Failure | undefined> {
    this.#web.files = new Map(Object.entries(serve).map(([name, base64]) => [name, Buffer.from(base64, 'base64')]));
    const stage = new Stage(this.#target, this.#fixture.tar);
    let failure: Failure | undefined;
    try {
      await this.#keeper.clean();
      failure = await this.#playSteps(steps, stage);
    } catch (error) {
      failure = { mismatch: { reason: `before the case: ${messageOf(error)}` } };
    }
    stage.close();
    try {
      await this.#keeper.clean();
    } catch (error) {
      failure ??= { mismatch: { reason: `after the case: ${messageOf(error)}` } };
    }
    return failure;
  }

  async #playSteps(steps: readonly Step[], stage: Stage): Promise<Failure | undefined> {
    const bindings = this.#bindings();
    for (const [at, step] of steps.entries()) {
      const deadline = performance.now() + (step.retry_s ?? 0) * 1000;
      let mismatch = await this.#try(step, stage, bindings);
      while (mismatch !== undefined && performance.now() < deadline) {
        await pause(RETRY_MS);
        mismatch = await this.#try(step, stage, bindings);
      }
      if (mismatch !== undefined) return { step: at + 1, mismatch };
    }
    return undefined;
  }

  /** Whatever goes wrong in a step is the failure of its case; the others are played. */
  async #try(step: Step, stage: Stage, bindings: Bindings): Promise<Mismatch | undefined> {
    const trial = bindings.copy();
    try {
      const observed = await stage.observe(step, trial);
      const mismatch = observed && judge(step, observed, trial, this.#target.usage);
      if (mismatch === undefined) bindings.take(trial);
      return mismatch;
    } catch (error) {
      return error instanceof StepFailure ? error.mismatch : { reason: messageOf(error) };
    }
  }

  #bindings(): Bindings {
    const letters = Array.from({ length: 6 }, () => String.fromCharCode(97 + randomInt(26)));
    const { hash, busybox } = this.#fixture;
    const { root } = this.#target;
    return new Bindings([
      ['base', `base:${hash}`],
      ['basehash', hash],
      ['bbsize', String(busybox.length)],
      ['bbsha', sha256Start(busybox)],
      ['uniq', letters.join('')],
      ['serve', this.#web.url],
      ...(root === undefined ? [] : [['root', root.replace(/\/+$/, '')] as const]),
    ]);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
