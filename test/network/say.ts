// A program of the host that listens: says a text to whoever connects, and closes.
//
//     node say.js ADDRESS PORT TEXT

import { createServer } from 'node:net';

const [address = '', port = '', text = ''] = process.argv.slice(2);

createServer((connection) => {
  connection.on('error', () => undefined); // whoever asked has gone
  connection.end(`${text}\n`);
}).listen(Number(port), address);
process.stdin.resume().once('end', () => process.exit(0));
