// A daemon behind TLS, with and without certificates of callers, and whatever can be wrong with them.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { Authority } from '../certificates.js';
import { Screen } from '../client/screen.js';
import { CANNOT_PRELOAD, PROGRAM, readAll, TestDaemon, type ClientResult } from '../harness.js';

const NAMES = 'DNS:localhost,IP:127.0.0.1';

let authority: Authority;
let daemon: TestDaemon;
/** folders as DOCKER_CERT_PATH has them */
let [serverFiles, clientFiles]: string[] = [];
before(async () => {
  authority = new Authority();
  serverFiles = authority.sign('daemon', { subjectAltName: NAMES, usage: 'serverAuth' });
  clientFiles = authority.sign('client', { usage: 'clientAuth' });
  const args = ['--tlsverify', ...filesOf(serverFiles)];
  daemon = await TestDaemon.start({ socket: authority.file('tsdock.sock'), args });
});
after(async () => {
  await daemon.close();
  authority.remove();
});

function filesOf(folder = ''): string[] {
  return [`--tlscacert=${folder}/ca.pem`, `--tlscert=${folder}/cert.pem`, `--tlskey=${folder}/key.pem`];
}

/** The client, by TLS, with the certificates in a folder. */
function call(folder: string | undefined, words: string[], input = ''): Promise<ClientResult> {
  return daemon.tsdock(words, input, { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder });
}

/** What a program of openssl's sends and gets back, with the client's certificate. */
function openssl(port: number, input: string, ...more: string[]): string {
  const certificate = ['-cert', join(clientFiles ?? '', 'cert.pem'), '-key', join(clientFiles ?? '', 'key.pem')];
  const words = ['s_client', '-connect', `127.0.0.1:${port}`, '-quiet', '-CAfile', authority.file('ca.pem')];
  const options = { input, timeout: 30_000, stdio: ['pipe', 'pipe', 'ignore'] } as const;
  return spawnSync('openssl', [...words, ...certificate, ...more], {
    ...options,
    stdio: [...options.stdio],
  }).stdout.toString();
}

function httpPort(): number {
  return Number(daemon.http.split(':')[1]);
}

test('tsdock -d --tlsverify says so in its log, and nothing of open doors', () => {
  assert.match(daemon.log, / on tcp\+tls 127\.0\.0\.1:\d+, unix \S+, https 127\.0\.0\.1:\d+: data /);
  assert.doesNotMatch(daemon.log, /WARNING/);
});

test('DOCKER_TLS_VERIFY and DOCKER_CERT_PATH: pipes, stdout and stderr apart, and the exit status', async () => {
  const script = 'cat; echo error >&2; exit 3';
  const result = await call(clientFiles, ['run', '-a', '-i', 'base', 'sh', '-c', script], 'input\n');
  assert.deepEqual(result, { status: 3, stdout: 'input\n', stderr: 'error\n' });
  const counted = await call(clientFiles, ['run', '-a', '-i', 'base', 'wc', '-c'], 'x'.repeat(3_000_000));
  assert.deepEqual(counted, { status: 0, stdout: '3000000\n', stderr: '' });
});

test('--tlsverify and the files by name do the same', async () => {
  const result = await daemon.tsdock(['--tlsverify', ...filesOf(clientFiles), 'run', '-a', 'base', 'echo', 'hi']);
  assert.deepEqual(result, { status: 0, stdout: 'hi\n', stderr: '' });
});

test('a program has its terminal by TLS', async () => {
  const files = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: clientFiles ?? '' };
  const own = { DOCKER: `127.0.0.1:${daemon.tcp.port}`, NODE: process.execPath, PROGRAM, TERM: 'screen' };
  const screen = new Screen('"$NODE" "$PROGRAM" run base sh; echo "left with $?"; exec cat', { ...own, ...files });
  try {
    await screen.shows(/#\s*$/);
    screen.enter("stty size; echo in''side");
    await screen.shows(/30 90\ninside\n/);
    screen.enter('exit 5');
    await screen.shows(/left with 5/);
  } finally {
    screen.close();
  }
});

test('tsdock -i keeps speaking TLS in its shell, with files that were named in another folder', async () => {
  const input = "cd /\nps -q | wc -l\nrun base sh -c 'exit 4'\necho status $?\n";
  const words = ['--tlsverify', ...filesOf(clientFiles), '-i'];
  const { stdout, stderr } = await daemon.tsdock(words, input);
  assert.deepEqual([stdout, stderr], ['0\nstatus 4\n', '']);
});

test('a 2013 call by TLS has its input up to the half-close, by TLS 1.2 and 1.3', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options: ConnectionOptions & { allowHalfOpen: boolean } = {
      ...daemon.tcp,
      ca: readFileSync(authority.file('ca.pem')),
      cert: readFileSync(join(clientFiles ?? '', 'cert.pem')),
      key: readFileSync(join(clientFiles ?? '', 'key.pem')),
      minVersion: version,
      maxVersion: version,
      allowHalfOpen: true,
    };
    const socket = connectTls(options);
    socket.end(`["run","-a","-i","base","wc","-c"]\n${'x'.repeat(100_000)}`);
    assert.equal((await readAll(socket)).toString(), '100000\n', version);
  }
});

test('openssl s_client makes 2013 calls', () => {
  assert.match(openssl(daemon.tcp.port, '["version"]\n'), /^tsdock /);
  assert.equal(openssl(daemon.tcp.port, '["run","-a","base","seq","20000"]\n').split('\n').length, 20_001);
});

test('TLS before 1.2 is not spoken', () => {
  assert.equal(openssl(daemon.tcp.port, '["version"]\n', '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'), '');
  assert.match(openssl(daemon.tcp.port, '["version"]\n', '-tls1_2'), /^tsdock /);
});

test('curl speaks HTTPS with a certificate, and is refused in one line without', () => {
  const curl = (...words: string[]): string =>
    execFileSync('curl', ['-sS', '--max-time', '20', '--cacert', authority.file('ca.pem'), ...words]).toString();
  const certificate = ['--cert', join(clientFiles ?? '', 'cert.pem'), '--key', join(clientFiles ?? '', 'key.pem')];
  const url = `https://localhost:${httpPort()}`;
  assert.match(curl(...certificate, `${url}/ps?q=-a`), /^ID /);
  const posted = curl(...certificate, '--data-binary', 'a\nb\n', `${url}/run?q=-a&q=-i&q=base&q=wc&q=-l`);
  assert.equal(posted, '2\n');
  assert.match(curl('-w', '%{http_code}', `${url}/ps`), /^Error: A certificate is demanded of callers[^\n]+\n403$/);
  assert.match(curl(`http://localhost:${httpPort()}/ps`), /^Error: This port takes HTTPS only\n$/);
});

test('a client without a certificate is told that one is demanded', async () => {
  const folder = authority.file('without');
  mkdirSync(folder);
  copyFileSync(authority.file('ca.pem'), join(folder, 'ca.pem'));
  const { status, stdout, stderr } = await call(folder, ['ps']);
  assert.equal(status, 1);
  assert.match(
    `${stdout}${stderr}`,
    /^Error: A certificate is demanded of callers, and there is none: give the client a cert\.pem [^\n]+\n$/,
  );
});

test('a client whose certificate another authority has signed, or for another use, is told so', async (t) => {
  const other = new Authority();
  t.after(() => other.remove());
  const foreign = other.sign('foreign', { usage: 'clientAuth' });
  copyFileSync(authority.file('ca.pem'), join(foreign, 'ca.pem'));
  const refused = await call(foreign, ['ps']);
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /^Error: The certificate of the caller is not accepted \(\w+\): give the client [^\n]+\n$/,
  );
  const misused = await call(serverFiles, ['ps']);
  assert.match(misused.stderr, /^Error: The certificate of the caller is not for clients: [^\n]+clientAuth\n$/);
  const forged = await call(foreign, ['run', '-d', 'base', 'sleep', '1000']);
  assert.equal(forged.status, 125);
  assert.equal(await daemon.call('ps', '-q'), '');
});

test('a client whose certificate has expired is told so, by itself and by the daemon', async () => {
  const expired = authority.sign('expired', { usage: 'clientAuth', isExpired: true });
  const { status, stderr } = await call(expired, ['ps']);
  assert.equal(status, 1);
  assert.match(stderr, /^tsdock: Cannot use the certificate ".*\/expired\/cert\.pem": it has expired \([^\n]+\n$/);
  const certificate = ['-cert', join(expired, 'cert.pem'), '-key', join(expired, 'key.pem')];
  const reply = openssl(daemon.tcp.port, '["ps"]\n', ...certificate);
  assert.equal(reply, 'Error: The certificate of the caller has expired: have a new one signed\n');
});

test('a client that trusts another authority says so, and names the file', async (t) => {
  const other = new Authority();
  t.after(() => other.remove());
  const { status, stderr } = await call(other.sign('client'), ['ps']);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^tsdock: The certificate of the daemon at 127\.0\.0\.1:\d+ was not signed by the authority in ".*\/client\/ca\.pem" \(\w+\): [^\n]+\n$/,
  );
});

test('a client that calls the daemon by a name that is not in its certificate says so', async () => {
  const words = ['-H', `127.0.0.2:${daemon.tcp.port}`, 'ps'];
  const relay = createServer((socket) => {
    const to = connect(daemon.tcp);
    socket
      .on('error', () => undefined)
      .pipe(to.on('error', () => undefined))
      .pipe(socket);
  });
  relay.listen(daemon.tcp.port, '127.0.0.2');
  await once(relay, 'listening');
  const { status, stderr } = await call(clientFiles, words);
  relay.close();
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^tsdock: The certificate of the daemon at 127\.0\.0\.2:\d+ is for another name \([^\n]*127\.0\.0\.2[^\n]*\): call it by a name that is in it/,
  );
});

test('a client that cannot read its key says which, and why', async () => {
  const folder = authority.sign('unreadable', { usage: 'clientAuth' });
  chmodSync(join(folder, 'key.pem'), 0o600);
  const env = {
    ...process.env,
    DOCKER_TLS_VERIFY: '1',
    DOCKER_CERT_PATH: folder,
    DOCKER: `127.0.0.1:${daemon.tcp.port}`,
  };
  const options = { env, uid: 65534, gid: 65534 };
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'ps'], options);
  assert.equal(status, 1);
  assert.match(
    stderr.toString(),
    /^tsdock: Cannot read the key ".*\/unreadable\/key\.pem": permission denied, only its owner or root may read it, [^\n]+\n$/,
  );
});

test('a user who is not root is admitted by the certificate', () => {
  chmodSync(join(clientFiles ?? '', 'key.pem'), 0o644);
  const folder = clientFiles ?? '';
  const env = {
    ...process.env,
    DOCKER_TLS_VERIFY: '1',
    DOCKER_CERT_PATH: folder,
    DOCKER: `127.0.0.1:${daemon.tcp.port}`,
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'ps', '-q'], {
    env,
    uid: 65534,
    gid: 65534,
  });
  assert.deepEqual([status, stdout.toString(), stderr.toString()], [0, '', '']);
});

test('a client without TLS gets one line that says what to do', async () => {
  const plain = await daemon.tsdock(['ps']);
  assert.equal(plain.status, 1);
  const line = /^Error: This port takes calls by TLS only: give the client --tlsverify, or set DOCKER_TLS_VERIFY=1\n$/;
  assert.match(`${plain.stdout}${plain.stderr}`, line);
  const socket = connect({ ...daemon.tcp, allowHalfOpen: true });
  socket.end('["run","-d","base","sleep","1000"]\n');
  assert.match((await readAll(socket)).toString(), line);
  assert.equal(await daemon.call('ps', '-q'), '');
});

test('garbage and broken handshakes are cut, and the daemon goes on', async () => {
  const bytes = (length: number, start: number[]): Buffer =>
    Buffer.concat([Buffer.of(...start), Buffer.alloc(length, 'x')]);
  const pieces = [
    bytes(0, [0x16]),
    bytes(500, [0x16, 3, 1, 0xff, 0xff]),
    bytes(70_000, [0x16, 3, 1, 2, 0, 1]),
    bytes(9, [0]),
  ];
  for (const port of [daemon.tcp.port, httpPort()]) {
    for (const piece of [...pieces, Buffer.alloc(0)]) {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      socket.end(piece);
      await readAll(socket);
    }
  }
  assert.equal((await call(clientFiles, ['ps', '-q'])).status, 0);
  await daemon.logged(/ tcp 127\.0\.0\.1:\d+ made no call: no TLS was agreed on: /);
});

test('a handshake that is never finished, or never begun, is cut', async () => {
  const began = performance.now();
  const cut = [daemon.tcp.port, httpPort()].flatMap((port) =>
    [Buffer.alloc(0), Buffer.of(0x16, 3, 1)].map(async (piece) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      socket.write(piece);
      await readAll(socket);
    }),
  );
  await Promise.all(cut);
  assert.ok(performance.now() - began > 5_000, 'not before its time');
  await daemon.logged(/made no call: no TLS was agreed on: TLS handshake timeout/);
});

test('a client that speaks TLS to a daemon that does not says so, and what to do', async () => {
  const plain = await TestDaemon.start({ withImage: false });
  try {
    const words = ['-H', `127.0.0.1:${plain.tcp.port}`, 'ps'];
    const { status, stderr } = await call(clientFiles, words);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^tsdock: Cannot speak TLS with the daemon at 127\.0\.0\.1:\d+: what it says is no TLS, so leave [^\n]+\n$/,
    );
  } finally {
    await plain.close();
  }
});

test('--tls has the certificate of the daemon alone, and nobody is checked by it', async () => {
  const args = ['--tls', ...filesOf(serverFiles).slice(1)];
  const open = await TestDaemon.start({ withImage: false, args, socket: authority.file('tls.sock') });
  try {
    const target = ['-H', `127.0.0.1:${open.tcp.port}`];
    assert.equal(
      (await daemon.tsdock(['--tls', ...target, 'ps', '-q'], '', { DOCKER_CERT_PATH: '/nosuch' })).status,
      0,
    );
    const verifying = ['--tlsverify', `--tlscacert=${authority.file('ca.pem')}`, ...target, 'ps', '-q'];
    assert.equal((await daemon.tsdock(verifying, '', { DOCKER_CERT_PATH: '/nosuch' })).status, 0);
    // No certificate tells who calls: they are looked at as without TLS.
    const words = [PROGRAM, '--tls', ...target, 'ps', '-q'];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { uid: 65534, gid: 65534 });
    assert.equal(status, 1);
    assert.match(`${stdout.toString()}${stderr.toString()}`, /^Error: Cannot take a call from nobody [^\n]+\n$/);
  } finally {
    await open.close();
  }
});

test('tsdock -d refuses certificates that it cannot use in one sentence, before it touches anything', () => {
  const data = authority.file('data');
  const refusal = (...args: string[]): string => {
    const given = [PROGRAM, '-d', '-g', data, '--bridge', 'none', '-H', '127.0.0.1:0', '--http', 'off', ...args];
    const { status, stderr } = spawnSync(process.execPath, given, { timeout: 20_000 });
    assert.equal(status, 1, stderr.toString());
    return stderr.toString();
  };
  assert.match(
    refusal('--tlsverify', '--tlscert=/nosuch'),
    /^tsdock: Cannot read the certificate "\/nosuch": [^\n]+\n$/,
  );
  assert.match(refusal(...filesOf(serverFiles)), /^tsdock: Cannot use --tlscacert without TLS: [^\n]+\n$/);
  const mixed = ['--tls', `--tlscert=${serverFiles ?? ''}/cert.pem`, `--tlskey=${clientFiles ?? ''}/key.pem`];
  assert.match(refusal(...mixed), /^tsdock: Cannot use the key "\S+": it does not belong to [^\n]+\n$/);
  assert.equal(spawnSync('ls', [data]).status, 2);
});

test('the client refuses to call two daemons at once', async () => {
  const { status, stderr } = await daemon.tsdock(['-H', 'a:1', '-H', 'b:2', 'ps']);
  assert.deepEqual([status, stderr], [1, 'tsdock: Cannot call 2 daemons at once: give -H once\n']);
});

test('tsdock starts without loading TLS where none is wanted', async (t) => {
  if (CANNOT_PRELOAD !== false) return t.skip(CANNOT_PRELOAD);
  const trace = [
    '--input-type=module',
    '-e',
    `process.argv.splice(1, 0, ${JSON.stringify(PROGRAM)});
    process.on('exit', () => process.stderr.write(String(process.moduleLoadList.includes('NativeModule tls'))));
    await import(${JSON.stringify(PROGRAM)});`,
    'version',
  ];
  const env = { ...process.env, DOCKER: `unix://${authority.file('tsdock.sock')}` };
  const child = spawn(process.execPath, trace, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, 'close');
  assert.match(stdout, /^tsdock /);
  assert.equal(stderr, 'false');
});
