// FIFOs and splice(2): how a container's output gets into its log without passing through the daemon's memory.
//
// What splice moves is at every instant either still in the FIFO or already in the file, so a daemon that is killed in
// the middle loses nothing and writes nothing twice.

import { fcntlSetFlags } from './fcntl.js';
import { bind, bindAsync, hasCode } from './libc.js';

const SPLICE_F_NONBLOCK = 2;
const F_SETPIPE_SZ = 1031;

const mkfifoNative = bind('int mkfifo(const char *path, unsigned int mode)');
const SPLICE = 'long splice(int fd_in, void *off_in, int fd_out, void *off_out, size_t len, unsigned int flags)';
const spliceNative = bind(SPLICE);
const spliceInPool = bindAsync(SPLICE);

/** Makes a FIFO. Throws SyscallError, EEXIST where the name is taken. */
export function mkfifo(path: string, mode: number): void {
  mkfifoNative({ path }, path, mode);
}

/** Asks for a pipe buffer of `bytes`. Where the limit of the machine is lower, the buffer stays as it is. */
export function setPipeSize(fd: number, bytes: number): void {
  try {
    fcntlSetFlags(fd, F_SETPIPE_SZ, bytes);
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'EBUSY')) throw error; // only speed is lost
  }
}

/**
 * Moves up to `bytes` from the pipe `from` into the file `to` at `position`, on a thread of the pool (the disk may be
 * slow). Resolves with the count moved: 0 at the end of file, -1 where nothing is there now.
 */
export async function spliceToFile(from: number, to: number, position: number, bytes: number): Promise<number> {
  const offset = new BigInt64Array([BigInt(position)]);
  try {
    return await spliceInPool({ path: `descriptor ${from}` }, from, null, to, offset, bytes, SPLICE_F_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return -1;
    throw error;
  }
}

/**
 * Moves up to `bytes` from the terminal `from` (which must be non-blocking) into the pipe `to`. Returns the count moved:
 * 0 where the terminal has hung up, -1 where nothing is there now or the pipe is full.
 */
export function spliceFromTerminal(from: number, to: number, bytes: number): number {
  try {
    return spliceNative({ path: `terminal ${from}` }, from, null, to, null, bytes, SPLICE_F_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return -1;
    if (hasCode(error, 'EIO')) return 0; // how a pty master says that nobody has the other side open any more
    throw error;
  }
}
