// The first line of a TCP call: reading it with bounds, and what it may say.
//
// 2013: rcli/tcp.go, Serve (bufio.ReadString and json.Unmarshal, without a bound)

import type { Socket } from 'node:net';
import type { CallerTerminal } from './reply.js';
import { errorMessage } from '../util/errors.js';
import { onOneLine } from '../util/table.js';

// DIFFERS D11: the original read lines without end and waited for them for ever.
/** The longest line that is taken, in bytes. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** The most words that a call may have. */
export const MAX_WORDS = 10_000;
/** How much of what is wrong an error shows, in characters. */
const SHOWN_CHARACTERS = 100;
/** How long a caller may take to say what it wants, in milliseconds. */
export const LINE_TIMEOUT_MS = 10_000;

/** What a call line says. */
export interface CallLine {
  words: string[];
  /** set for a framed call */
  framed: boolean;
  terminal: CallerTerminal | undefined;
}

/**
 * Reads the socket up to the first newline, and leaves what follows it in the socket. Rejects with the message that the
 * caller should see: `EOF` for an end without a newline, as in 2013.
 */
export function readLine(socket: Socket, timeoutMs = LINE_TIMEOUT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      socket.pause();
      settle();
    };
    const fail = (message: string): void => finish(() => reject(new Error(message)));
    const timer = setTimeout(() => fail(`No call line within ${timeoutMs / 1000} seconds`), timeoutMs);
    const onEnd = (): void => fail('EOF');
    const onData = (chunk: Buffer): void => {
      const newline = chunk.indexOf(0x0a);
      length += newline < 0 ? chunk.length : newline;
      if (length > MAX_LINE_BYTES) {
        fail(`Call line too long: at most ${MAX_LINE_BYTES} bytes are allowed`);
      } else if (newline < 0) {
        chunks.push(chunk);
      } else {
        finish(() => {
          if (newline + 1 < chunk.length) socket.unshift(chunk.subarray(newline + 1));
          resolve(Buffer.concat([...chunks, chunk.subarray(0, newline)]).toString('utf8'));
        });
      }
    };
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  });
}

/** What the line says. Throws an Error whose message is for the caller. */
export function parseCallLine(line: string): CallLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new Error(`Invalid call line: ${onOneLine(errorMessage(error))}`);
  }
  // DIFFERS D04: `null`, like `[]`, crashed the original; it asks for help.
  if (value === null) return { words: [], framed: false, terminal: undefined };
  if (Array.isArray(value)) return { words: toWords(value), framed: false, terminal: undefined };
  if (typeof value !== 'object' || !('frames' in value)) {
    throw new Error('Invalid call line: expected a JSON array of strings');
  }
  if (value.frames !== 1) throw new Error(`Invalid call line: frames version ${show(value.frames)} is not known`);
  const args: unknown = 'args' in value ? value.args : undefined;
  if (!Array.isArray(args)) throw new Error('Invalid call line: "args" must be an array of strings');
  return { words: toWords(args), framed: true, terminal: toTerminal('tty' in value ? value.tty : undefined) };
}

/** A null is the empty string, and half of a surrogate pair U+FFFD, as Go's decoder has it: a word is text that files and programs can be given. */
function toWords(values: unknown[]): string[] {
  if (values.length > MAX_WORDS)
    throw new Error(`Invalid call line: ${values.length} words, at most ${MAX_WORDS} are allowed`);
  return values.map((value) => {
    if (value === null) return '';
    if (typeof value !== 'string') throw new Error(`Invalid call line: ${show(value)} is no string`);
    return Buffer.from(value).toString();
  });
}

/** A value from the wire for an error: JSON where that is short. One that is nested deeply could not even be written. */
function show(value: unknown): string {
  try {
    const text = JSON.stringify(value);
    return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
  } catch {
    return 'a value that is nested too deeply'; // the stack is all that can run out here
  }
}

function toTerminal(tty: unknown): CallerTerminal | undefined {
  if (tty === null || typeof tty !== 'object') return undefined;
  const { rows, cols } = toWindow(tty);
  const term = 'term' in tty && typeof tty.term === 'string' ? tty.term : undefined;
  return { rows, cols, term };
}

/** The rows and columns of a value from the wire; what is no sensible number becomes the size of a plain terminal. */
export function toWindow(value: unknown): { rows: number; cols: number } {
  const read = (name: 'rows' | 'cols', standard: number): number => {
    const size: unknown = value !== null && typeof value === 'object' ? Reflect.get(value, name) : undefined;
    return typeof size === 'number' && Number.isInteger(size) && size > 0 && size < 65_536 ? size : standard;
  };
  return { rows: read('rows', 24), cols: read('cols', 80) };
}
