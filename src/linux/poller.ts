// One epoll instance for all that the daemon waits for outside of libuv: the FIFOs that containers print into (node can
// only read those, and bytes that are read but not yet in the log are lost with the daemon), pty masters, and pidfds of
// processes that are not our children.
//
// A single epoll_wait is always under way on a thread of the pool while anything is watched. Registrations are one-shot:
// after its callback a descriptor is silent until `rearm`, so that a callback may take its time.
//
// Owns the epoll descriptor and an eventfd that wakes it. `close` frees both; the descriptors watched stay their owners'.

import { closeSync } from 'node:fs';
import { bind, bindAsync, hasCode } from './libc.js';

const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 0x001;
const EPOLLHUP = 0x010;
const EPOLLONESHOT = 1 << 30;
/** struct epoll_event is packed on x86-64 only: 32 bits of events, then 64 of data. */
const DATA_AT = process.arch === 'x64' ? 4 : 8;
const EVENT_BYTES = DATA_AT + 8;
const EVENTS_PER_WAIT = 64;

const epollCreate = bind('int epoll_create1(int flags)');
const epollControl = bind('int epoll_ctl(int epfd, int op, int fd, void *event)');
const epollWait = bindAsync('int epoll_wait(int epfd, void *events, int maxevents, int timeout)');
const eventfd = bind('int eventfd(unsigned int initval, int flags)');
const eventfdWrite = bind('int eventfd_write(int fd, uint64_t value)');

/** What is known when a descriptor is ready. */
export interface Readiness {
  /** data can be read */
  readable: boolean;
  /** all writers are gone, or the process has ended: read what is left, then it is over */
  hungUp: boolean;
}

/** Called on the main thread. It must not throw: an error in it has no caller. */
export type ReadyCallback = (ready: Readiness) => void;

/** Watches descriptors until they are ready. See the head of the file. */
export class Poller {
  readonly #epoll = epollCreate({}, EPOLL_CLOEXEC);
  readonly #wake = eventfd({}, 0, EFD_CLOEXEC_NONBLOCK);
  /** By a number that is never used twice: an event on its way may be of a descriptor that has been closed and given out again. */
  readonly #watched = new Map<number, ReadyCallback>();
  readonly #numbers = new Map<number, number>();
  #nextNumber = 1;
  readonly #events = Buffer.alloc(EVENT_BYTES * EVENTS_PER_WAIT);
  #waiting: Promise<void> | undefined;
  #closed = false;

  constructor() {
    this.#control(EPOLL_CTL_ADD, this.#wake, EPOLLIN, 0);
  }

  /** Watches `fd` for one readiness. The descriptor must stay open until `remove`. */
  add(fd: number, callback: ReadyCallback): void {
    const number = this.#nextNumber++;
    this.#control(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, number);
    this.#watched.set(number, callback);
    this.#numbers.set(fd, number);
    this.#waiting ??= this.#wait();
  }

  /** Watches `fd` again after its callback. Ready at once if data is still there. */
  rearm(fd: number): void {
    const number = this.#numbers.get(fd);
    if (number !== undefined) this.#control(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, number);
  }

  /** Forgets `fd`; its callback is not called any more. Call before closing it. */
  remove(fd: number): void {
    const number = this.#numbers.get(fd);
    if (number === undefined) return;
    this.#numbers.delete(fd);
    this.#watched.delete(number);
    this.#control(EPOLL_CTL_DEL, fd, 0, 0);
  }

  /** Ends the wait and frees the epoll instance. */
  async close(): Promise<void> {
    this.interrupt();
    await this.#waiting;
    closeSync(this.#epoll);
    closeSync(this.#wake);
  }

  /** Ends the wait, and no more: for a process that is about to exit, which node does not let go while a thread is busy. */
  interrupt(): void {
    this.#closed = true;
    eventfdWrite({}, this.#wake, 1);
  }

  async #wait(): Promise<void> {
    while (!this.#closed) {
      let count = 0;
      try {
        count = await epollWait({}, this.#epoll, this.#events, EVENTS_PER_WAIT, -1);
      } catch (error) {
        if (!hasCode(error, 'EINTR')) throw error; // a signal of a debugger's: wait again
      }
      for (const [number, ready] of this.#decode(count)) this.#watched.get(number)?.(ready);
    }
  }

  /** Copies the events out first: a callback may change what is watched, and the next wait reuses the buffer. */
  #decode(count: number): [number, Readiness][] {
    return Array.from({ length: count }, (_, i) => {
      const bits = this.#events.readUInt32LE(i * EVENT_BYTES);
      const number = Number(this.#events.readBigUInt64LE(i * EVENT_BYTES + DATA_AT));
      return [number, { readable: (bits & EPOLLIN) !== 0, hungUp: (bits & EPOLLHUP) !== 0 }];
    });
  }

  #control(operation: number, fd: number, bits: number, number: number): void {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(bits);
    event.writeBigUInt64LE(BigInt(number), DATA_AT);
    epollControl({ path: `descriptor ${fd}` }, this.#epoll, operation, fd, event);
  }
}
