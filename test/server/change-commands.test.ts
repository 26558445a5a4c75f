// How `diff` prints a list that is long.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import test from 'node:test';
import { ReplyStream } from '../../src/rcli/reply.js';
import { Server } from '../../src/server/server.js';

const CHANGES = 1000;
const PATH_LENGTH = 20_000;

test('Server.CmdDiff lets others have their turns while a caller reads as fast as it writes', async () => {
  const path = `/${'d'.repeat(PATH_LENGTH)}`;
  const changes = Array.from({ length: CHANGES }, () => ({ kind: 'A', path }));
  const container = { filesystem: { changes: () => Promise.resolve(changes) } };
  // all that the command takes of a server
  const server = Object.assign(Object.create(Server.prototype) as Server, {
    parts: { containers: { get: () => container } },
  });
  let turns = 0;
  let timer = setImmediate(function count() {
    turns++;
    timer = setImmediate(count);
  });
  let bytes = 0;
  let pieces = 0;
  const reply = new ReplyStream((chunk, done) => {
    bytes += chunk.length;
    pieces++;
    done();
  });
  await server.CmdDiff(Readable.from([]), reply, 'id');
  clearImmediate(timer);
  assert.equal(bytes, CHANGES * (PATH_LENGTH + 4));
  assert.ok(pieces > 100 && turns >= pieces - 1, `${pieces} pieces in ${turns} turns`);
});
