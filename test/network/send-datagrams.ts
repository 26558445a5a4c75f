// A client that never stops: sends datagrams, each with the address that it is sent to and a number, from one port until
// its input ends, whatever comes back.
//
//     node send-datagrams.js ADDRESS PORT OWN_PORT

import { createSocket } from 'node:dgram';

const INTERVAL_MS = 20;
const [address = '', port = '', ownPort = ''] = process.argv.slice(2);

const socket = createSocket('udp4');
socket.bind(Number(ownPort), () => {
  let number = 0;
  setInterval(() => socket.send(`${address} ${++number}\n`, Number(port), address, () => undefined), INTERVAL_MS);
});
process.stdin.resume().once('end', () => process.exit(0));
