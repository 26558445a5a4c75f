// Pseudo terminals: the peer that lxc-start talks to for a container with `-t`.
//
// The peer must pass bytes through untouched (LXC's own console inside the container does echo and line editing), but
// lxc-start switches output processing on when it opens it, so that each newline would come out as CR CR LF. The kernel
// can lock terminal attributes (TIOCSLCKTRMIOS, root only): once locked raw, lxc-start's change has no effect.
//
// 2013: container.go, Container.startPty; docker/docker.go, MakeRaw

import { closeSync, constants, openSync } from 'node:fs';
import { bind, bindVoid } from './libc.js';

const TCSANOW = 0;
const TIOCSWINSZ = 0x5414;
const TIOCSLCKTRMIOS = 0x5457;
/** At least sizeof(struct termios), which is 60 with glibc and 36 in the kernel. */
const TERMIOS_BYTES = 64;

const posixOpenpt = bind('int posix_openpt(int flags)');
const grantpt = bind('int grantpt(int fd)');
const unlockpt = bind('int unlockpt(int fd)');
const ptsname = bind('int ptsname_r(int fd, void *name, size_t length)');
const tcgetattr = bind('int tcgetattr(int fd, void *termios)');
const tcsetattr = bind('int tcsetattr(int fd, int when, void *termios)');
const cfmakeraw = bindVoid('void cfmakeraw(void *termios)');
const ioctl = bind('int ioctl(int fd, unsigned long request, void *argument)');

/** A new pseudo terminal. The caller owns `master` and closes it. */
export interface Pty {
  /** non-blocking, close-on-exec */
  master: number;
  /** the path of the other side, `/dev/pts/N` */
  path: string;
}

/** The size of a terminal, in characters. */
export interface WindowSize {
  rows: number;
  cols: number;
}

/** Opens a pseudo terminal whose other side is raw and stays raw whatever its users set. */
export function openRawPty(): Pty {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  const O_CLOEXEC = 0o2000000;
  const master = posixOpenpt({}, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  try {
    grantpt({}, master);
    unlockpt({}, master);
    const path = peerPath(master);
    lockRaw(path);
    return { master, path };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

/** Opens the other side of `master`. The caller closes it. While it is open, the terminal does not hang up. */
export function openPeer(master: number): number {
  return openSync(peerPath(master), constants.O_RDWR | constants.O_NOCTTY);
}

/** Makes the terminal `fd` raw in both directions. Returns what puts it back as it was. 2013: docker/docker.go, MakeRaw and Restore */
export function makeTerminalRaw(fd: number): () => void {
  const before = Buffer.alloc(TERMIOS_BYTES);
  tcgetattr({ path: `terminal ${fd}` }, fd, before);
  const raw = Buffer.from(before);
  cfmakeraw(raw);
  tcsetattr({ path: `terminal ${fd}` }, fd, TCSANOW, raw);
  return () => void tcsetattr({ path: `terminal ${fd}` }, fd, TCSANOW, before);
}

/** Tells the terminal its size. Who reads it must then be told by SIGWINCH. */
export function setWindowSize(fd: number, { rows, cols }: WindowSize): void {
  ioctl(
    { path: `terminal ${fd}`, data: `${rows}x${cols}` },
    fd,
    TIOCSWINSZ,
    Buffer.from(Uint16Array.of(rows, cols, 0, 0).buffer),
  );
}

function peerPath(master: number): string {
  const name = Buffer.alloc(64);
  ptsname({}, master, name, name.length);
  return name.toString('latin1', 0, name.indexOf(0));
}

function lockRaw(path: string): void {
  const slave = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  try {
    const termios = Buffer.alloc(TERMIOS_BYTES);
    tcgetattr({ path }, slave, termios);
    cfmakeraw(termios);
    tcsetattr({ path }, slave, TCSANOW, termios);
    ioctl({ path, flags: 'TIOCSLCKTRMIOS' }, slave, TIOCSLCKTRMIOS, Buffer.alloc(TERMIOS_BYTES, 0xff));
  } finally {
    closeSync(slave);
  }
}
