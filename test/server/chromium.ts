// A real browser for tests: Chromium without a window, told what to do through a pipe (the DevTools protocol).
//
// It has a profile of its own, asks nobody for anything by itself, and is gone after `close`, however the test ends.

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../harness.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const FLAGS = `--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
  --no-default-browser-check --disable-background-networking --disable-component-update --disable-sync --disable-extensions
  --disable-default-apps --metrics-recording-only --no-proxy-server --remote-debugging-pipe`.split(/\s+/);
const START_MS = 60_000;

/** What comes through the pipe, as far as it is looked at. */
interface Message {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** See the head of the file. */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #pipe: Socket;
  readonly #waiting = new Map<
    number,
    { resolve: (result: Record<string, unknown>) => void; reject: (error: Error) => void }
  >();
  readonly #onExit = (): void => this.#cleanUp();
  #session = '';
  #count = 0;

  private constructor(hosts: Readonly<Record<string, string>>) {
    const program = NAMES.find((name) => isThere(name));
    assert.ok(program !== undefined, 'Chromium is not installed');
    this.#profile = mkdtempSync(join(tmpdir(), 'tsdock-test-chromium-'));
    const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
    const own = [`--user-data-dir=${this.#profile}`, `--host-resolver-rules=${rules.join(', ')}`];
    // A group of its own, as it starts others. Its messages go nowhere: it complains of what a machine for tests has not.
    this.#process = spawn(program, [...FLAGS, ...own], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, HOME: this.#profile },
    });
    process.once('exit', this.#onExit);
    const [, , , to, from] = this.#process.stdio;
    assert.ok(to instanceof Socket && from instanceof Socket);
    // A test that fails before `close` must end all the same; `#cleanUp` then ends the browser.
    this.#process.unref();
    for (const pipe of [to, from]) pipe.unref();
    this.#pipe = to.on('error', () => undefined); // it has ended; whoever waits is told by a deadline
    let text = '';
    from.on('data', (chunk: Buffer) => {
      const messages = (text + chunk.toString()).split('\0');
      text = messages.pop() ?? '';
      for (const message of messages) this.#take(JSON.parse(message) as Message); // its own format
    });
  }

  /** Starts it with one page. `hosts` are names that it is to know, with their addresses. */
  static async start(hosts: Readonly<Record<string, string>>): Promise<Chromium> {
    const browser = new Chromium(hosts);
    const { targetId } = await browser.#send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await browser.#send('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = String(sessionId);
    return browser;
  }

  /** Opens a URL, as a user who types it. */
  async open(url: string): Promise<void> {
    await this.#send('Page.navigate', { url });
    await this.shows(url);
  }

  /** Waits until a page with that URL has come whole. */
  async shows(url: string): Promise<void> {
    const isThere = async (): Promise<boolean> =>
      (await this.evaluate(`document.readyState === 'complete' && location.href`)) === url;
    await until(isThere, `the browser shows ${url}`, START_MS);
  }

  /** The text of the page. */
  async text(): Promise<string> {
    return String(await this.evaluate('document.body.innerText'));
  }

  /** What an expression is in the page; undefined while it is between two pages. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result } = await this.#send('Runtime.evaluate', options).catch(() => ({ result: undefined }));
    return (Object(result) as { value?: unknown }).value;
  }

  /** Ends it, with all that it started, and takes its profile away. */
  async close(): Promise<void> {
    this.#process.ref();
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#kill();
    await ended;
    this.#cleanUp();
    process.off('exit', this.#onExit);
  }

  #send(method: string, params: Record<string, unknown>): Promise<Record<string, unknown>> {
    const id = ++this.#count;
    const session = this.#session === '' ? {} : { sessionId: this.#session };
    this.#pipe.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Chromium does not answer ${method}`)), START_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        resolve: (result) => (done(), resolve(result)),
        reject: (error) => (done(), reject(error)),
      });
    });
  }

  #take({ id = 0, result = {}, error }: Message): void {
    if (error === undefined) this.#waiting.get(id)?.resolve(result);
    else this.#waiting.get(id)?.reject(new Error(error.message));
  }

  #kill(): void {
    try {
      if (this.#process.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }

  #cleanUp(): void {
    this.#kill();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

function isThere(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
