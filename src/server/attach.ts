// A caller attached to a container: its output goes to the caller, the caller's input to it, until the run ends or the
// caller goes.
//
// The output is read from the container's logs, by each caller at its own pace: one that does not read holds up neither
// the container nor anybody else.
//
// 2013: dockerd/dockerd.go, the io.Copy calls of Server.CmdRun and CmdAttach

import type { Readable } from 'node:stream';
import type { Container } from '../container/container.js';
import { readLog } from '../container/log-reader.js';
import { STDERR, type LogPosition } from '../container/log-records.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';

/** How a caller is attached. */
export interface Attachment {
  /** undefined where the caller's input is not wanted */
  stdin: Readable | undefined;
  stdout: ReplyStream;
  /** the end of the caller's input ends the program's input too */
  passesEnd: boolean;
  /** where in the logs to begin */
  from: LogPosition;
  /** which of the program's streams; both where it is not said */
  streams?: { stdout: boolean; stderr: boolean };
}

/** Resolves when the run is over, with its status in the reply, or the caller is gone. */
export async function attach(container: Container, attachment: Attachment): Promise<void> {
  const { stdin, stdout, passesEnd, from, streams = { stdout: true, stderr: true } } = attachment;
  const undo = [
    stdout.onWindow((window) => container.resize(window)),
    // The program may only be about to run. Where the signal cannot be sent, it has ended, and the caller is told that.
    stdout.onSignal((signal) => void container.signalWhenReady(signal).catch(() => undefined)),
    stdin === undefined ? () => undefined : passInput(container, stdin, passesEnd),
  ];
  try {
    const options = { ...streams, from, follow: true, separate: false, signal: stdout.gone };
    await readLog(container.logs, options, (stream, piece) =>
      writeTo(stream === STDERR ? stdout.stderr : stdout, piece),
    );
    await container.wait(stdout.gone);
    stdout.status = container.state.shellStatus;
  } finally {
    for (const remove of undo) remove();
  }
}

/** Copies the caller's input to the program. Returns what ends that. */
function passInput(container: Container, stdin: Readable, passesEnd: boolean): () => void {
  const { stdio } = container;
  const target = stdio?.stdin;
  if (stdio === undefined || target === undefined) return () => undefined;
  const onEnd = (): void => {
    if (passesEnd) stdio.endStdin().catch(() => undefined); // the program has ended first: nothing is left to be told
  };
  stdin.pipe(target, { end: false });
  if (stdin.readableEnded) onEnd();
  else stdin.once('end', onEnd);
  return () => {
    stdin.unpipe(target);
    stdin.off('end', onEnd);
  };
}
