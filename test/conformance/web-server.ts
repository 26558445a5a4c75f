// What `pull` and `put` fetch in the cases: the base image, files that a case brings with it, an empty page, and none.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Listens on loopback, on a port of its own, until `close`. */
export class WebServer {
  /** The files that are served besides; the last element of a path is their name. */
  files = new Map<string, Buffer>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(base: Buffer): Promise<WebServer> {
    const server = createServer((request, reply) => {
      const name = (request.url ?? '').split('?')[0]?.split('/').at(-1) ?? '';
      const fixed = new Map([
        ['base.tar', base],
        ['empty', Buffer.of()],
      ]);
      const body = fixed.get(name) ?? web.files.get(name);
      reply.writeHead(body === undefined ? 404 : 200, { 'Content-Length': (body ?? NOTHING).length });
      reply.end(body ?? NOTHING);
    });
    const web = new WebServer(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return web;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const NOTHING = Buffer.from('nothing here\n');
