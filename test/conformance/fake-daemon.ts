// A daemon that says what a test wants: for the replayer's own tests, which must know what comes.
//
// It answers what the replayer asks for itself (the list of containers, of images, `put base`) as one would that is empty.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Target } from './target.js';

/** What is said to a call; a function has the connection to itself. */
export type Answer = string | ((socket: Socket, input: Buffer) => void);

/** Listens until `close`. */
export class FakeDaemon {
  /** The calls that the cases made, in order. */
  readonly calls: string[][] = [];
  readonly #answer: (args: string[]) => Answer;
  readonly #tcp: Server;
  readonly #http: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: (args: string[]) => Answer) {
    this.#answer = answer;
    this.#tcp = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#http = createHttpServer((request, reply) => {
      const url = new URL(request.url ?? '/', 'http://fake');
      const said = this.#reply(
        [decodeURIComponent(url.pathname.slice(1)), ...url.searchParams.getAll('q')],
        Buffer.of(),
      );
      reply.setHeader('Content-Type', 'text/plain').end(typeof said === 'string' ? said : '');
    });
    for (const server of [this.#tcp, this.#http]) this.#keep(server);
  }

  /** Keeps what is connected to the two, for the end. */
  #keep(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(answer: (args: string[]) => Answer): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(answer);
    for (const server of [daemon.#tcp, daemon.#http]) await once(server.listen(0, '127.0.0.1'), 'listening');
    return daemon;
  }

  get target(): Target {
    const addressOf = (server: Server): { host: string; port: number } => {
      const { port } = server.address() as AddressInfo; // it listens on TCP
      return { host: '127.0.0.1', port };
    };
    const [tcp, http] = [addressOf(this.#tcp), addressOf(this.#http)];
    return { tcp, http, hasNetwork: false, hasTerm: false, usage: '2013', timeoutMs: 60_000 };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#tcp, this.#http]) await new Promise((resolve) => server.close(resolve));
  }

  #serve(socket: Socket): void {
    const chunks: Buffer[] = [];
    let hasAnswered = false;
    socket.on('error', () => undefined); // the replayer may close at any time
    const answer = (): void => {
      const received = Buffer.concat(chunks);
      const end = received.indexOf('\n');
      if (hasAnswered || end < 0) return;
      const args = JSON.parse(received.toString('utf8', 0, end)) as string[]; // the replayer's own call line
      const input = received.subarray(end + 1);
      if (args[0] === 'put' && !socket.readableEnded) return;
      hasAnswered = true;
      const said = this.#reply(args, input);
      if (typeof said === 'string') socket.end(said);
      else said(socket, input);
    };
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      answer();
    });
    socket.on('end', answer);
  }

  #reply(args: string[], input: Buffer): Answer {
    const call = args.join(' ');
    if (call === 'ps -a -q' || call === 'rmi -r .*') return '';
    if (call === 'put base') return `base:${createHash('sha256').update(input).digest('hex').slice(0, 16)}\n`;
    this.calls.push(args);
    return this.#answer(args);
  }
}
