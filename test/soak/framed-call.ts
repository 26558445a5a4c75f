// A framed call that knows whether it was answered to its end: the frame with the status came, or the daemon was gone first.

import { encodeFrame, FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import type { TestDaemon } from '../harness.js';

/** What came of a call. */
export interface Answer {
  /** undefined where the daemon was gone before the call was over: then nothing was promised */
  status: number | undefined;
  stdout: string;
  stderr: string;
}

/** How long a call may take that nothing is wrong with, in milliseconds. */
const CALL_MS = 60_000;

/** Calls with this input, to the end. Never rejects. */
export async function framedCall(
  daemon: TestDaemon,
  words: readonly string[],
  input: Buffer | string = '',
): Promise<Answer> {
  const answer: Answer = { status: undefined, stdout: '', stderr: '' };
  try {
    const socket = await daemon.connect();
    const ended = new Promise<void>((resolve) => socket.once('close', resolve));
    const timer = setTimeout(() => socket.destroy(), CALL_MS);
    const decoder = new FrameDecoder();
    socket.on('data', (chunk: Buffer) => {
      for (const { type, payload } of decoder.push(chunk)) {
        if (type === FrameType.stdout) answer.stdout += payload.toString();
        if (type === FrameType.stderr) answer.stderr += payload.toString();
        if (type === FrameType.status) answer.status = (JSON.parse(payload.toString()) as { status: number }).status; // its only shape
      }
    });
    socket.once('end', () => socket.destroy());
    socket.write(`${JSON.stringify({ frames: 1, args: words })}\n`);
    if (input.length > 0) socket.write(encodeFrame(FrameType.stdin, Buffer.from(input)));
    socket.write(encodeFrame(FrameType.stdin, ''));
    await ended;
    clearTimeout(timer);
  } catch {
    // there was no daemon to connect to
  }
  return answer;
}
