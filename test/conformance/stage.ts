// Does what the steps of one case say, one after the other, and tells what came of each. What it opens it owns until `close`.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Bindings } from './bindings.js';
import { decode, encode } from './bytes.js';
import type { Step } from './case.js';
import { Connection } from './connection.js';
import { listDisk } from './disk-listing.js';
import { exchange, open, readToEnd } from './exchange.js';
import { httpExchange, targetOf } from './http-exchange.js';
import type { Observation } from './judge.js';
import { textMismatch, visible, type Mismatch } from './mismatch.js';
import { matches } from './pattern.js';
import { call, callLine, pause, restart, type Target } from './target.js';

const HOST_TCP_MS = 60_000;

/** A step that failed while it was done. */
export class StepFailure extends Error {
  readonly mismatch: Mismatch;

  constructor(mismatch: Mismatch) {
    super(mismatch.reason);
    this.mismatch = mismatch;
  }
}

/** See the head of the file. */
export class Stage {
  readonly #target: Target;
  readonly #base: Buffer;
  readonly #connections = new Map<string, Connection>();

  constructor(target: Target, base: Buffer) {
    this.#target = target;
    this.#base = base;
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  /** Does one step. Resolves with nothing where there is nothing to compare; throws where it fails at once. */
  async observe(step: Step, bindings: Bindings): Promise<Observation | undefined> {
    if (step.sleep !== undefined) await pause(step.sleep * 1000);
    else if (step.restart === true) await restart(this.#target);
    else return this.#look(step, bindings);
    return undefined;
  }

  async #look(step: Step, bindings: Bindings): Promise<Observation | undefined> {
    if (step.disk !== undefined) return { bytes: encode(listDisk(this.#path(step.disk, bindings))) };
    if (step.disk_file !== undefined) return { bytes: readFileSync(this.#path(step.disk_file, bindings)) };
    if (step.host_tcp !== undefined) return { bytes: await this.#hostTcp(bindings.fill(step.host_tcp)) };
    if (step.conn !== undefined) return this.#onConnection(step.conn, step, bindings);
    if (step.transport === 'http') return this.#http(step, bindings);
    return {
      bytes: step.parallel === undefined ? await this.#tcp(step, bindings) : await this.#parallel(step, bindings),
    };
  }

  async #tcp(step: Step, bindings: Bindings): Promise<Buffer> {
    const bytes =
      this.#raw(step, bindings) ?? Buffer.concat([callLine(filled(step, bindings)), await this.#input(step, bindings)]);
    return exchange(this.#target.tcp, bytes, { halfClose: step.halfclose ?? true, timeoutMs: this.#timeoutMs(step) });
  }

  #raw({ raw, raw_b64: base64 }: Step, bindings: Bindings): Buffer | undefined {
    if (raw !== undefined) return encode(bindings.fill(raw));
    return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
  }

  /** The same call many times at once. The replies must be the same. */
  async #parallel(step: Step, bindings: Bindings): Promise<Buffer> {
    const input = await this.#input(step, bindings);
    const calls = Array.from({ length: step.parallel ?? 1 }, () =>
      call(this.#target, filled(step, bindings), input, this.#timeoutMs(step)),
    );
    const [first = Buffer.of(), ...others] = await Promise.all(calls);
    const other = others.find((reply) => !reply.equals(first));
    if (other === undefined) return first;
    const template = decode(first).replaceAll('{{', '{{lbrace}}');
    throw new StepFailure(textMismatch('calls made at once have different replies', template, other, bindings));
  }

  async #http(step: Step, bindings: Bindings): Promise<Observation> {
    const hasBody = [step.stdin, step.stdin_b64, step.stdin_tar].some((input) => input !== undefined && input !== null);
    return httpExchange(this.#target.http, {
      method: step.method ?? (hasBody ? 'POST' : 'GET'),
      target: step.path === undefined ? targetOf(filled(step, bindings)) : bindings.fill(step.path),
      body: hasBody ? await this.#input(step, bindings) : undefined,
      timeoutMs: this.#timeoutMs(step),
    });
  }

  /** What the step says, in this order: open or send, half-close, read, close. */
  async #onConnection(name: string, step: Step, bindings: Bindings): Promise<Observation | undefined> {
    if (step.args !== undefined) {
      const input = await this.#input(step, bindings);
      const opened = await Connection.open(this.#target.tcp);
      this.#connections.set(name, opened);
      opened.send(Buffer.concat([callLine(filled(step, bindings)), input]));
      return undefined;
    }
    const connection = this.#connections.get(name);
    if (connection === undefined) throw new Error(`Cannot use the connection "${name}": no step has opened it`);
    if (step.send !== undefined) connection.send(encode(bindings.fill(step.send)));
    if (step.shutdown === true) connection.shutdown();
    if (step.until !== undefined) {
      const template = step.until;
      const wrong = await connection.until((bytes) => matches(template, bytes, bindings), this.#timeoutMs(step));
      if (wrong !== undefined)
        throw new StepFailure(textMismatch(`"${name}" says something else`, template, wrong, bindings));
    } else if (step.eof === true) return { bytes: await connection.toEnd(this.#timeoutMs(step)) };
    else if (step.quiet !== undefined) {
      const heard = await connection.quiet(step.quiet * 1000);
      if (heard !== undefined) throw new StepFailure({ reason: `"${name}" is not quiet: ${visible(decode(heard))}` });
    }
    if (step.close === true) connection.close();
    return undefined;
  }

  async #hostTcp(place: string): Promise<Buffer> {
    const [host = '', port = ''] = place.split(' ');
    return readToEnd(await open({ host, port: Number(port) }), HOST_TCP_MS);
  }

  async #input({ stdin, stdin_b64: base64, stdin_tar: tar }: Step, bindings: Bindings): Promise<Buffer> {
    if (tar !== undefined) return pack(this.#base, tar.slice('base'.length));
    if (base64 !== undefined) return Buffer.from(base64, 'base64');
    return encode(bindings.fill(stdin ?? ''));
  }

  #path(path: string, bindings: Bindings): string {
    return join(this.#target.root ?? '', bindings.fill(path));
  }

  #timeoutMs({ timeout }: Step): number {
    return timeout === undefined ? this.#target.timeoutMs : timeout * 1000;
  }
}

function filled({ args = [] }: Step, bindings: Bindings): string[] {
  return args.map((argument) => bindings.fill(argument));
}

/** Beside the other cases that are played: what they wait for comes and goes meanwhile. */
async function pack(tar: Buffer, suffix: string): Promise<Buffer> {
  if (suffix === '') return tar;
  if (suffix === '.gz') return promisify(gzip)(tar);
  const packing = promisify(execFile)(suffix === '.bz2' ? 'bzip2' : 'xz', ['-c', '-1'], {
    encoding: 'buffer',
    maxBuffer: 1 << 28,
  });
  packing.child.stdin?.end(tar);
  return (await packing).stdout;
}
