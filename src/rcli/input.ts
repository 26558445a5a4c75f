// A command's stdin may be the very connection that its reply goes out on. What reads it to the end, and destroys what it
// reads when that fails, gets a stand-in.

import { finished, PassThrough, type Readable } from 'node:stream';

/** All of `stdin` as a stream that may be destroyed. It fails where `stdin` breaks off before its end. */
export function borrowInput(stdin: Readable): Readable {
  const input = new PassThrough();
  input.on('error', () => undefined); // also where it breaks off before its reader has begun: the reader finds it destroyed
  stdin.pipe(input);
  const forget = finished(stdin, { writable: false }, (error) => {
    if (error) input.destroy(new Error('The input broke off before its end', { cause: error }));
  });
  input.once('close', () => {
    forget();
    stdin.unpipe(input);
  });
  return input;
}
