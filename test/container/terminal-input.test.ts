// Typing into a real terminal: everything arrives, and a full one holds up nobody but the writer.

import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalInput } from '../../src/container/terminal-input.js';
import { hasCode } from '../../src/linux/libc.js';
import { openRawPty } from '../../src/linux/pty.js';

/** On a machine that is busy with other tests. */
const DEADLINE_MS = 20_000;

interface Terminal {
  input: TerminalInput;
  /** what the program reads now */
  read: () => string;
}

function openTerminal(t: TestContext): Terminal {
  const { master, path } = openRawPty();
  const peer = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const input = new TerminalInput(master);
  t.after(async () => {
    input.destroy();
    await sleep(0);
    for (const fd of [peer, master]) closeSync(fd);
  });
  const buffer = Buffer.alloc(65_536);
  const read = (): string => {
    try {
      return buffer.toString('latin1', 0, readSync(peer, buffer));
    } catch (error) {
      if (hasCode(error, 'EAGAIN')) return '';
      throw error;
    }
  };
  return { input, read };
}

/** Reads until so many characters are there. */
async function readMany(read: () => string, count: number): Promise<string> {
  const deadline = performance.now() + DEADLINE_MS;
  let text = '';
  while (text.length < count) {
    assert.ok(
      performance.now() < deadline,
      `waited in vain for ${count} characters, got ${JSON.stringify(text.slice(-40))}`,
    );
    text += read();
    await sleep(1);
  }
  return text;
}

test('TerminalInput hands over what is typed, untouched', async (t) => {
  const { input, read } = openTerminal(t);
  input.write('ls\r\x03\x04\x1b[A');
  assert.equal(await readMany(read, 8), 'ls\r\x03\x04\x1b[A');
});

test('TerminalInput keeps what is typed while it is held, and hands it over in order', async (t) => {
  const { input, read } = openTerminal(t);
  input.hold();
  input.write('first ');
  input.sendEndOfInput();
  assert.equal(input.writableCorked, 1);
  input.release();
  input.write('next');
  assert.equal(await readMany(read, 12), 'first \x04\x04next');
});

test('TerminalInput loses nothing of what a full terminal cannot take at once', async (t) => {
  const { input, read } = openTerminal(t);
  const text = Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join('');
  let isTaken = false;
  input.write(text, () => (isTaken = true));
  await sleep(0);
  assert.equal(isTaken, false, 'the writer feels that it is full');
  assert.ok((await readMany(read, text.length)) === text);
});

test('TerminalInput.sendEndOfInput() is one Ctrl-D at the beginning of a line, and two within one', async (t) => {
  const fresh = openTerminal(t);
  fresh.input.sendEndOfInput();
  assert.equal(await readMany(fresh.read, 1), '\x04');
  const after = openTerminal(t);
  after.input.write('line\n');
  assert.equal(await readMany(after.read, 5), 'line\n');
  after.input.sendEndOfInput();
  assert.equal(await readMany(after.read, 1), '\x04');
  const within = openTerminal(t);
  within.input.write('half');
  assert.equal(await readMany(within.read, 4), 'half');
  within.input.sendEndOfInput();
  assert.equal(await readMany(within.read, 2), '\x04\x04');
});

test('TerminalInput.sendEndOfInput() counts what was written just before', async (t) => {
  const { input, read } = openTerminal(t);
  input.write('half');
  input.sendEndOfInput();
  assert.equal(await readMany(read, 6), 'half\x04\x04');
});

test('TerminalInput ends with the terminal, without an error that nobody listens for', async () => {
  const { master } = openRawPty();
  const input = new TerminalInput(master);
  input.destroy();
  closeSync(master);
  await assert.rejects(
    new Promise((resolve, reject) => input.write('x', (error) => (error ? reject(error) : resolve(undefined)))),
    { code: 'ERR_STREAM_DESTROYED' },
  );
});
