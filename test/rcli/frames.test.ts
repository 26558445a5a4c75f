// Frames: that a stream comes out as it went in, however it is cut, and that a bad one is refused early.

import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeFrame, FrameDecoder, FrameType, MAX_FRAME_BYTES, type Frame } from '../../src/rcli/frames.js';

/** The frames that come out of these chunks, with their payloads as text. */
function decode(...chunks: Buffer[]): [number, string][] {
  const decoder = new FrameDecoder();
  const frames = chunks.flatMap((chunk): Frame[] => [...decoder.push(Buffer.from(chunk))]);
  assert.equal(decoder.isInsideFrame, false, 'nothing is left');
  return frames.map(({ type, payload }) => [type, payload.toString()]);
}

function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = type;
  bytes.writeUInt32BE(length, 4);
  return bytes;
}

test('encodeFrame() is type, three zeros, big-endian length, payload', () => {
  assert.deepEqual(encodeFrame(FrameType.stderr, 'abc'), Buffer.from([2, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x62, 0x63]));
  assert.deepEqual(encodeFrame(FrameType.stdin, Buffer.alloc(0)), Buffer.alloc(8));
  assert.equal(encodeFrame(1, Buffer.alloc(0x10203)).readUInt32BE(4), 0x10203);
  assert.equal(encodeFrame(1, 'é€').length, 8 + 5, 'the length counts bytes, not characters');
});

test('FrameDecoder.push() yields the same frames wherever the stream is cut in two', () => {
  const stream = Buffer.concat([encodeFrame(0, 'hello'), encodeFrame(4, ''), encodeFrame(5, 'wörld')]);
  const expected = [
    [0, 'hello'],
    [4, ''],
    [5, 'wörld'],
  ];
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(decode(stream.subarray(0, cut), stream.subarray(cut)), expected, `cut at ${cut}`);
  }
});

test('FrameDecoder.push() yields the same frames byte by byte', () => {
  const stream = Buffer.concat([encodeFrame(6, '{}'), encodeFrame(3, 'x')]);
  assert.deepEqual(decode(...Array.from(stream, (byte) => Buffer.of(byte))), [
    [6, '{}'],
    [3, 'x'],
  ]);
});

test('FrameDecoder.push() yields many small frames of one chunk in order', () => {
  const count = 20_000;
  const stream = Buffer.concat(Array.from({ length: count }, (_, i) => encodeFrame(1, String(i))));
  const frames = decode(stream);
  assert.equal(frames.length, count);
  assert.deepEqual(frames.at(-1), [1, String(count - 1)]);
  assert.deepEqual(
    frames.findIndex(([, text], i) => text !== String(i)),
    -1,
  );
});

test('FrameDecoder.push() yields a frame as soon as it is whole, before the rest is looked at', () => {
  const decoder = new FrameDecoder();
  const frames = decoder.push(Buffer.concat([encodeFrame(1, 'good'), header(7, 0)]));
  assert.equal(frames.next().value?.payload.toString(), 'good');
  assert.throws(() => frames.next(), { message: 'Invalid frame: unknown type 7' });
});

test('FrameDecoder.isInsideFrame tells whether a frame has begun', () => {
  const decoder = new FrameDecoder();
  assert.equal(decoder.isInsideFrame, false);
  assert.deepEqual([...decoder.push(header(0, 2))], []);
  assert.equal(decoder.isInsideFrame, true);
  assert.equal([...decoder.push(Buffer.from('ab'))].length, 1);
  assert.equal(decoder.isInsideFrame, false);
  assert.deepEqual([...decoder.push(Buffer.of(0))], []);
  assert.equal(decoder.isInsideFrame, true);
});

test('FrameDecoder.push() takes the largest frame and refuses the next larger one by its header alone', () => {
  const [frame] = [...new FrameDecoder().push(encodeFrame(1, Buffer.alloc(MAX_FRAME_BYTES, 7)))];
  assert.equal(frame?.payload.length, MAX_FRAME_BYTES);
  assert.throws(() => [...new FrameDecoder().push(header(1, MAX_FRAME_BYTES + 1))], {
    message: `Invalid frame: ${MAX_FRAME_BYTES + 1} bytes claimed, ${MAX_FRAME_BYTES} are allowed`,
  });
});

test('FrameDecoder.push() refuses a claim of 4 GiB, also when its header comes in pieces', () => {
  const decoder = new FrameDecoder();
  const bytes = header(0, 0xffff_ffff);
  for (const byte of bytes.subarray(0, 7)) assert.deepEqual([...decoder.push(Buffer.of(byte))], []);
  assert.throws(() => [...decoder.push(bytes.subarray(7))], /^Error: Invalid frame: 4294967295 bytes claimed/);
});

test('FrameDecoder.push() refuses unknown types and padding that is not zero', () => {
  assert.throws(() => [...new FrameDecoder().push(header(255, 0))], { message: 'Invalid frame: unknown type 255' });
  const padded = header(1, 0);
  padded[3] = 1;
  assert.throws(() => [...new FrameDecoder().push(padded)], /unknown type/);
  assert.throws(() => [...new FrameDecoder().push(Buffer.from('["ps"]\n\n'))], /unknown type/);
});
