// A plain server that says what it was told: what it takes to answer is what the machine takes. It prints its port, and runs
// until its standard input ends.

import { createServer, type AddressInfo } from 'node:net';

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => undefined); // whoever asked has gone
  socket.pipe(socket);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  process.stdout.write(`${port}\n`);
});
process.stdin.once('end', () => process.exit(0)).resume();
