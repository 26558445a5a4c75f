// A stand-in for a daemon of 2013, as it was seen from outside: a line of JSON, an array of strings or an error; then the
// command reads its input, and the close is the end of the reply.
//
// It closes as Go's net.Conn does: at once, whatever the caller still sends. It keeps each byte that it was sent.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What Go's decoder says of a line that is an object. */
export const REFUSAL = 'Error: json: cannot unmarshal object into Go value of type []string\n';

/** Its commands, in an order of its own; January listed `attach` twice. */
const COMMANDS =
  'run ps pull put rm wait stop logs diff commit attach tar web images inspect cat write ls mount umount layers cp reset attach';
const TEXT = 'What it does, in words of its own';
const LIST = COMMANDS.split(' ').map((name) => `    ${name.padEnd(10)}${TEXT}\n`);
const OVERVIEW = `Usage: docker COMMAND [arg...]\n\n${TEXT}\n\nCommands:\n${LIST.join('')}`;
const TABLE = 'ID          IMAGE       COMMAND     CREATED     STATUS      COMMENT\n';
const END_OF_TEXT = 3;

/** One connection: the line, and all that came behind it. */
export interface Seen {
  line: string;
  input: Buffer;
  /** the caller has half-closed */
  isEnded: boolean;
}

/** How it differs from a good one. */
export interface Faults {
  /** what it says to a line that is no array; undefined to close without a word */
  refusal?: string | undefined;
  /** its replies come so many bytes at a time */
  pieceBytes?: number;
  /** so long before each piece, in milliseconds */
  pauseMs?: number;
  /** it reads on after its reply: the connection does not break */
  readsOn?: boolean;
  /** it crashes once it has read an array */
  crashes?: boolean;
}

/** See the head of the file. */
export class OriginalDaemon {
  readonly seen: Seen[] = [];
  readonly #faults: Faults;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(faults: Faults) {
    this.#faults = faults;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket));
      this.#serve(socket);
    });
  }

  static async start(faults: Faults = {}): Promise<OriginalDaemon> {
    const daemon = new OriginalDaemon({ refusal: REFUSAL, ...faults });
    daemon.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => daemon.#server.once('listening', resolve));
    return daemon;
  }

  /** HOST:PORT. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // a server that listens has one
  }

  /** The lines of all connections. */
  get lines(): string[] {
    return this.seen.map(({ line }) => line);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let text = Buffer.alloc(0);
    const seen: Seen = { line: '', input: Buffer.alloc(0), isEnded: false };
    this.seen.push(seen);
    const onEnd = (): void => void (seen.isEnded = true);
    const onLine = (chunk: Buffer): void => {
      text = Buffer.concat([text, chunk]);
      const newline = text.indexOf('\n');
      if (newline < 0) return;
      seen.line = text.toString('utf8', 0, newline);
      seen.input = text.subarray(newline + 1);
      socket.off('data', onLine).on('data', (more: Buffer) => (seen.input = Buffer.concat([seen.input, more])));
      if (this.#faults.crashes === true && seen.line.startsWith('[')) socket.resetAndDestroy();
      else if (seen.line.startsWith('[')) this.#call(socket, seen, JSON.parse(seen.line) as string[]);
      else this.#reply(socket, this.#faults.refusal ?? '');
    };
    socket.on('data', onLine).once('end', onEnd);
  }

  #call(socket: Socket, seen: Seen, [word = '', ...args]: string[]): void {
    const hasInput = word === 'put' || word === 'attach' || (word === 'run' && args.includes('-i'));
    if (word === 'help') this.#reply(socket, OVERVIEW);
    else if (word === 'ps') this.#reply(socket, TABLE);
    else if (word === 'inspect')
      this.#reply(socket, `{\n    "Config": {\n        "Tty": ${args[0] === 'withtty'}\n    }\n}`);
    else if (args.includes('nosuch')) this.#reply(socket, 'Error: No such image: nosuch\n');
    else if (word === 'put') this.#atEnd(socket, seen, () => 'base:0123456789abcdef\n');
    else if (hasInput) this.#atEnd(socket, seen, () => `got ${JSON.stringify(seen.input.toString())}\n`);
    else if (word === 'run') this.#reply(socket, args.includes('-a') ? 'printed\nError: not ours\n' : '0123abcd\n');
    else this.#reply(socket, '');
  }

  /** Replies at the end of the input, or at a Ctrl-C, which comes as a byte from a raw terminal. */
  #atEnd(socket: Socket, seen: Seen, reply: () => string): void {
    const finish = (): void => this.#reply(socket, reply());
    if (seen.isEnded) return finish();
    socket.once('end', finish);
    socket.on('data', () => {
      if (seen.input.includes(END_OF_TEXT)) finish();
    });
  }

  #reply(socket: Socket, text: string): void {
    const { pieceBytes = Infinity, pauseMs = 0 } = this.#faults;
    const piece = text.slice(0, pieceBytes);
    if (piece === '' && this.#faults.readsOn === true) {
      socket.end();
      return;
    }
    if (piece === '') return socket.destroySoon();
    const send = (): void => void socket.write(piece, () => this.#reply(socket, text.slice(piece.length)));
    if (pauseMs > 0) setTimeout(send, pauseMs);
    else send();
  }
}
