// One UDP socket that a test talks through: each line of input, `ADDRESS PORT TEXT`, is sent as a datagram, and the text of
// each datagram that comes is a line of output. Ends with its input.
//
//     node udp-socket.js ADDRESS PORT

import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const [ownAddress = '', ownPort = ''] = process.argv.slice(2);

const socket = createSocket('udp4');
socket.on('message', (message) => process.stdout.write(`${message.toString()}\n`));
socket.bind(Number(ownPort), ownAddress, () => process.stdout.write('ready\n'));
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [address = '', port = '', text = ''] = line.split(' ');
    socket.send(text, Number(port), address);
  })
  .once('close', () => process.exit(0));
