// A question of the client's own to a daemon of either kind.

import type { DaemonAddress } from './address.js';
import { connect } from './connection.js';
import { FramedCall } from './framed-call.js';
import { plainCall } from './plain-call.js';

/** All that the daemon replies to a call without input, errors included, as one text. */
export async function ask(address: DaemonAddress, words: string[]): Promise<string> {
  const pieces: Buffer[] = [];
  const take = (piece: Buffer): void => void pieces.push(piece);
  const call = await FramedCall.begin(await connect(address), address, words, undefined, take, take);
  if (call === undefined) {
    await plainCall(await connect(address), address, words, undefined, take);
  } else {
    await call.receive();
    call.close();
  }
  return Buffer.concat(pieces).toString('utf8');
}
