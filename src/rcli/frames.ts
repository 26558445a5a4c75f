// The frames of a framed call: one byte type, three zero bytes, four bytes big-endian length, payload. Both sides, and
// so the client too, read and write them through this file.

/** The types of frames. 0, 4 and 5 go to the server, the others to the client. */
export const FrameType = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  status: 3,
  window: 4,
  signal: 5,
  hello: 6,
} as const;

/** What the daemon says of itself in the first frame. */
export interface Hello {
  name: string;
  version: string;
}

/** What is allowed in one frame. Ours are far smaller; a larger claim is refused before anything is buffered. */
export const MAX_FRAME_BYTES = 1024 * 1024;

const HEADER_BYTES = 8;
const HIGHEST_TYPE = 6;

/** One frame that has arrived whole. */
export interface Frame {
  type: number;
  payload: Buffer;
}

/** A frame as bytes, header and payload in one piece. */
export function encodeFrame(type: number, payload: Buffer | string): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return Buffer.concat([encodeHeader(type, body.length), body]);
}

/** The header of a frame whose payload has `length` bytes. */
export function encodeHeader(type: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(type);
  header.writeUInt32BE(length, 4);
  return header;
}

/** Cuts a stream of bytes into frames. Holds at most one frame that is not whole yet. */
export class FrameDecoder {
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** Whether a frame has begun and is not whole. */
  get isInsideFrame(): boolean {
    return this.#pendingBytes > 0;
  }

  /** Takes the next bytes; yields the frames that are whole now. Throws where the bytes are no frame. */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    while (this.#pendingBytes >= HEADER_BYTES) {
      const { type, length } = this.#header();
      if (this.#pendingBytes < HEADER_BYTES + length) return;
      const all = this.#joined();
      const rest = all.subarray(HEADER_BYTES + length);
      this.#pending = rest.length === 0 ? [] : [rest];
      this.#pendingBytes = rest.length;
      yield { type, payload: all.subarray(HEADER_BYTES, HEADER_BYTES + length) };
    }
  }

  #header(): { type: number; length: number } {
    const [first] = this.#pending;
    const header = first !== undefined && first.length >= HEADER_BYTES ? first : this.#joined();
    const type = header.readUInt32LE(0);
    const length = header.readUInt32BE(4);
    if (type > HIGHEST_TYPE) throw new Error(`Invalid frame: unknown type ${type}`);
    if (length > MAX_FRAME_BYTES)
      throw new Error(`Invalid frame: ${length} bytes claimed, ${MAX_FRAME_BYTES} are allowed`);
    return { type, length };
  }

  /** What is pending as one piece; joined only when it must be, so that a large frame is copied once. */
  #joined(): Buffer {
    const [only] = this.#pending;
    if (this.#pending.length === 1 && only !== undefined) return only;
    const all = Buffer.concat(this.#pending);
    this.#pending = [all];
    return all;
  }
}
