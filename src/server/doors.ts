// The doors of the daemon: the sockets that it listens on, of each kind as many as it was told, and by TLS where that is
// wanted.
//
// `daemon.ts` has them checked first, before anything is made on the machine, and opened last. The rule that must hold: what
// was opened here is closed here, and takes no call any more from then on.
//
// 2013: dockerd/dockerd.go, Server.ListenAndServe

import type { Server } from 'node:net';
import { hostname } from 'node:os';
import type { Judge } from '../rcli/callers.js';
import type { Calls, Log } from '../rcli/calls.js';
import type { Hello } from '../rcli/frames.js';
import { createHttpServer } from '../rcli/http.js';
import { createTcpServer } from '../rcli/tcp.js';
import type { TlsServer } from '../rcli/tls.js';
import { isUnixAddress, parseAddress, showAddress, type Address, type TcpAddress } from '../util/address.js';
import type { TlsOptions } from '../util/tls-options.js';
import { exposureWarning } from './callers.js';
import { connectionLimit, surviveAcceptErrors } from './limits.js';
import { checkFree, listen } from './listen.js';
import { checkPathFree, listenOnPath } from './unix-socket.js';

/** What a server that listens everywhere calls its address: nothing that a browser could go to. */
const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::'];

/** What the command line says of them. */
export interface DoorOptions {
  /** where calls are taken: HOST:PORT or unix:///PATH, each once */
  tcp: readonly string[];
  /** where HTTP is spoken: as above, or `off` */
  http: string;
  /** undefined for none; a unix socket has none anyway */
  tls: TlsOptions | undefined;
}

/** One of them. */
interface Door {
  transport: 'tcp' | 'http';
  address: Address;
}

/** See the head of the file. */
export class Doors {
  /** where a browser finds the page of the daemon, once it listens */
  webUrl: string | undefined;
  readonly #doors: readonly Door[];
  readonly #tls: TlsServer | undefined;
  readonly #log: Log;
  readonly #servers: Server[] = [];
  readonly #removers: (() => void)[] = [];
  readonly #shown: string[] = [];

  private constructor(doors: readonly Door[], tls: TlsServer | undefined, log: Log) {
    this.#doors = doors;
    this.#tls = tls;
    this.#log = log;
    process.once('exit', () => this.#removeSockets());
  }

  /** Reads the certificates, and looks whether the addresses are free. Rejects with what a person can mend. */
  static async check({ tcp, http, tls }: DoorOptions, log: Log): Promise<Doors> {
    const doors: Door[] = [...new Set(tcp)].map((text) => ({ transport: 'tcp', address: parseAddress(text) }));
    if (http !== 'off') doors.push({ transport: 'http', address: parseAddress(http) });
    await checkFree(doors.flatMap(({ address }) => (isUnixAddress(address) ? [] : [address])));
    for (const { address } of doors) if (isUnixAddress(address)) await checkPathFree(address.path);
    return new Doors(doors, tls === undefined ? undefined : await readTls(tls, log), log);
  }

  /**
   * Listens everywhere. `judgeFor` makes the judge of who may come in by TCP; it is told whether callers have shown a
   * certificate. Rejects where one of the addresses has been taken meanwhile.
   */
  async open(calls: Calls, hello: Hello, judgeFor: (isVerified: boolean) => Judge): Promise<void> {
    const judge = judgeFor(this.#isVerified);
    const limit = connectionLimit(this.#log);
    for (const { transport, address } of this.#doors) {
      const isHttp = transport === 'http';
      // A path has an owner and a mode, and the kernel lets nobody else in.
      const judgeHere = isUnixAddress(address) ? undefined : await this.#withCertificates(judge);
      const server = isHttp
        ? createHttpServer(calls, this.#log, limit, judgeHere)
        : createTcpServer(calls, hello, this.#log, limit, judgeHere);
      this.#servers.push(server);
      if (isUnixAddress(address)) {
        this.#removers.push(await listenOnPath(server, address.path, this.#log));
        this.#shown.push(`${isHttp ? 'http ' : ''}unix ${address.path}`);
      } else {
        await this.#listen(server, transport, address, judge);
      }
      surviveAcceptErrors(server, this.#log);
    }
  }

  /** A judge that first looks at the certificate, where one is demanded. */
  async #withCertificates(judge: Judge): Promise<Judge> {
    if (!this.#isVerified) return judge;
    const { certificateProblem } = await import('../rcli/tls.js');
    return (ends) => certificateProblem(ends) ?? judge(ends);
  }

  get #isVerified(): boolean {
    return this.#tls?.isVerified === true;
  }

  async #listen(server: Server, transport: 'tcp' | 'http', address: TcpAddress, judge: Judge): Promise<void> {
    const isTls = this.#tls !== undefined;
    if (this.#tls !== undefined) {
      const { putBehindTls } = await import('../rcli/tls.js');
      putBehindTls(server, transport, this.#tls, judge, this.#log);
    }
    const bound = await listen(server, address);
    const scheme = transport === 'tcp' ? `tcp${isTls ? '+tls' : ''}` : `http${isTls ? 's' : ''}`;
    const shown = `${scheme} ${showAddress(bound)}`;
    this.#shown.push(shown);
    if (transport === 'http') {
      const host = EVERY_ADDRESS.includes(bound.host) ? hostname() : bound.host;
      this.webUrl = `${scheme}://${showAddress({ ...bound, host })}/web`;
    }
    const warning = exposureWarning(shown, bound.host, this.#isVerified);
    if (warning !== undefined) this.#log(warning);
  }

  /** Takes no more calls. Those under way go on. */
  close(): void {
    this.#removeSockets();
    for (const server of this.#servers) server.close();
  }

  #removeSockets(): void {
    for (const remove of this.#removers.splice(0)) remove();
  }

  /** What listens, for the log: `tcp 127.0.0.1:4242, http 127.0.0.1:8080`. */
  toString(): string {
    return this.#shown.join(', ');
  }
}

async function readTls(options: TlsOptions, log: Log): Promise<TlsServer> {
  const { readServerTls } = await import('../util/tls-files.js');
  return { material: readServerTls(options, log), isVerified: options.isVerified };
}
