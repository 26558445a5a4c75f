// A daemon that other machines reach by TLS: their certificate admits them, and nobody without, nor a container with one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { Authority } from '../certificates.js';
import type { TestDaemon } from '../harness.js';
import { enterOf, run } from './containers.js';
import { TestMachine } from './test-machine.js';

let authority: Authority;
let machine: TestMachine;
let daemon: TestDaemon;
let clientFiles: string;
before(async () => {
  authority = new Authority();
  machine = await TestMachine.start();
  const folder = authority.sign('daemon', { subjectAltName: `IP:${machine.address}` });
  clientFiles = authority.sign('client', { usage: 'clientAuth' });
  const files = ['cacert', 'cert', 'key'].map((name) => `--tls${name}=${folder}/${name.replace('cacert', 'ca')}.pem`);
  daemon = await machine.daemon({ socket: authority.file('tsdock.sock'), args: ['--tlsverify', ...files] });
});
after(async () => {
  await daemon.close();
  await machine.close();
  authority.remove();
});

/** A 2013 call by openssl, from wherever `enter` leads. */
function callFrom(enter: string[], ...words: string[]): string {
  const certificate = ['-cert', join(clientFiles, 'cert.pem'), '-key', join(clientFiles, 'key.pem')];
  const to = ['-connect', `${machine.address}:${daemon.tcp.port}`, '-CAfile', authority.file('ca.pem')];
  const [program = '', ...args] = [
    ...enter,
    'openssl',
    's_client',
    '-quiet',
    '-verify_return_error',
    ...to,
    ...certificate,
  ];
  return spawnSync(program, args, { input: `${JSON.stringify(words)}\n`, timeout: 120_000 }).stdout.toString();
}

test('tsdock -d --tlsverify on an address of the network warns of nothing, and takes calls from another machine', async () => {
  assert.doesNotMatch(daemon.log, /WARNING/);
  assert.match(callFrom([], 'version'), /^tsdock /);
  const environment = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: clientFiles };
  const result = await daemon.tsdock(['run', '-a', '-i', 'base', 'cat'], 'from afar\n', environment);
  assert.deepEqual(result, { status: 0, stdout: 'from afar\n', stderr: '' });
});

test('a container is refused, whatever certificate it has', async () => {
  const id = await run(daemon, 'base', 'sleep', '1000');
  // Once its program is there, and so its network.
  const reply = callFrom(await enterOf(daemon, id), 'run', '-d', 'base', 'sleep', '1000');
  assert.match(reply, /^Error: Cannot take a call from a container: [^\n]+\n$/);
  assert.equal((await daemon.call('ps', '-q')).trim(), id);
});
