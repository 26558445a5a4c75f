// The client: sends the words of its command line to a daemon, connects the terminal or the pipes at its ends to what
// runs there, and exits with that program's status.
//
// 2013: docker/docker.go, main

import { constants } from 'node:os';
import { isatty } from 'node:tty';
import type { TlsOptions } from '../util/tls-options.js';
import { daemonAddress, type DaemonAddress } from './address.js';
import { ask } from './ask.js';
import { connect } from './connection.js';
import { FramedCall, outputFlushed, type LineTerminal } from './framed-call.js';
import { plainCall } from './plain-call.js';
import { prepareCall, type PreparedCall } from './run-arguments.js';
import { makeRaw } from './terminal.js';

/** Undoes one thing that was set up for a call. */
type Remover = () => void;

/** Makes one call. Resolves with the exit status; rejects with ClientError where there is no daemon, or not any more. */
export async function runClient(words: readonly string[], addressText: string, tls?: TlsOptions): Promise<number> {
  const address = daemonAddress(addressText, tls);
  // Without the streams of this process: node makes each when it is first asked for, and that takes as long as to connect.
  const isTerminal = isatty(1) && isatty(0);
  const prepared = prepareCall(words, isTerminal, process.env['TSDOCK_VERBATIM'] === '1');
  const isRaw = isTerminal && prepared.sendsInput && process.env['NORAW'] !== '1' && (await hasTty(prepared, address));
  const socket = await connect(address);
  const terminal = lineTerminal();
  const begun = FramedCall.begin(socket, address, prepared.words, terminal);
  // Now that the daemon has something to do.
  process.stdout.on('error', () => process.exit(1)); // whoever read our output has gone
  const call = await begun;
  const undo: Remover[] = [];
  try {
    if (call === undefined) {
      if (isRaw) undo.push(await takeTerminal());
      const again = await connect(address); // last: nobody listens for its end before the call
      const input = prepared.sendsInput ? process.stdin : undefined;
      return await plainCall(again, address, prepared.wordsForOriginal, input);
    }
    // Nothing is shown before: a shell asks where the cursor is, and the terminal's answer would be echoed.
    if (isRaw) undo.push(await takeTerminal());
    else if (prepared.isAttached) undo.push(passSignals(call));
    const received = call.receive();
    if (prepared.isAttached) undo.push(followWindow(call, terminal));
    if (prepared.sendsInput) undo.push(passInput(call));
    const status = await received;
    await outputFlushed();
    return status;
  } finally {
    for (const remove of undo) remove();
  }
}

/** Whether the program has a terminal. `start` and `attach` do not say so in their words: the container's record does. */
async function hasTty(prepared: PreparedCall, address: DaemonAddress): Promise<boolean> {
  const [word = '', ...rest] = prepared.words;
  if (word.toLowerCase() === 'run') return prepared.hasTty;
  const name = rest.find((arg) => !arg.startsWith('-'));
  if (name === undefined) return false;
  return /^ {8}"Tty": true/m.test(await ask(address, ['inspect', name]));
}

/** The terminal on our output, for the call line. */
function lineTerminal(): LineTerminal | undefined {
  if (!isatty(1)) return undefined;
  return { rows: process.stdout.rows, cols: process.stdout.columns, term: process.env['TERM'] };
}

/** Raw until the call ends; whatever ends the client before that restores the terminal. The program goes on. */
async function takeTerminal(): Promise<Remover> {
  const restore = await makeRaw();
  const onSignal = (signal: NodeJS.Signals): void => {
    restore();
    process.exit(128 + constants.signals[signal]);
  };
  const signals = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
    restore();
  };
}

/** Without a raw terminal, Ctrl-C and kill are meant for the program. Who sends a second one means the client. */
function passSignals(call: FramedCall): Remover {
  let isPassed = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isPassed) process.exit(128 + constants.signals[signal]);
    isPassed = true;
    call.sendSignal(signal);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

/** Tells each new size of the terminal, also one that it has got since the call line told of it. */
function followWindow(call: FramedCall, told: LineTerminal | undefined): Remover {
  const { stdout } = process;
  const onResize = (): void => call.sendWindow(stdout.rows, stdout.columns);
  stdout.on('resize', onResize);
  if (told !== undefined && (told.rows !== stdout.rows || told.cols !== stdout.columns)) onResize();
  return () => stdout.off('resize', onResize);
}

/** Sends standard input, as fast as the daemon takes it, and its end. */
function passInput(call: FramedCall): Remover {
  const { stdin } = process;
  const onData = (piece: Buffer): void => {
    if (call.sendInput(piece)) return;
    stdin.pause();
    call.onceDrained(() => stdin.resume());
  };
  const onEnd = (): boolean => call.sendInput(Buffer.alloc(0));
  stdin.on('data', onData).once('end', onEnd);
  return () => {
    stdin.off('data', onData).off('end', onEnd);
    stdin.pause();
  };
}
