// The life of containers: stop, kill, start, restart, wait, rm; and what is left when the daemon ends before they do.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mountsBelow, processesOf, readAll, TestDaemon, until } from '../harness.js';

const TRAP = 'trap "echo term; exit 7" TERM; echo up; while :; do usleep 20000; done';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

async function run(...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  return id;
}
const hasLogged = (id: string, text: string) => async () => (await daemon.call('logs', id)) === text;

test('stop asks with SIGTERM: the status of the trap counts', async () => {
  const id = await run('base', 'sh', '-c', TRAP);
  await until(hasLogged(id, 'up\n'), 'it is up');
  assert.equal(await daemon.call('stop', id), `${id}\n`);
  assert.equal(await daemon.call('wait', id), '7\n');
  assert.equal(await daemon.call('logs', id), 'up\nterm\n');
});

test('stop -t kills what ignores SIGTERM after that many seconds', async () => {
  const id = await run('base', 'sleep', '100');
  const began = performance.now();
  assert.equal(await daemon.call('stop', '-t', '1', id), `${id}\n`);
  assert.ok(performance.now() - began < 8_000);
  assert.equal(await daemon.call('wait', id), '-1\n');
});

test('kill ends a container that has only just been started', async () => {
  for (let i = 0; i < 5; i++) {
    const id = await run('base', 'sleep', '100');
    assert.equal(await daemon.call('kill', id), '');
    assert.equal(await daemon.call('wait', id), '-1\n');
  }
});

test('start goes on with the files and the logs of the last run', async () => {
  const id = await run('base', 'sh', '-c', 'echo x >> /data/count; wc -l < /data/count');
  await daemon.stopped(id);
  assert.equal(await daemon.call('start', id), `${id}\n`);
  await daemon.stopped(id);
  assert.equal(await daemon.call('logs', id), '1\n2\n');
});

test('start of a running container is refused in one line', async () => {
  const id = await run('base', 'sleep', '100');
  assert.equal(await daemon.call('start', id), `Error: Container ${id} is already running\n`);
  assert.equal(await daemon.call('kill', id), '');
});

test('attach to a stopped container ends at once with an error', async () => {
  const id = await run('base', 'true');
  await daemon.stopped(id);
  assert.equal(await daemon.call('attach', id), `Error: Container ${id} is not running\n`);
});

test('rm -f removes a running container at once, with everything of it', async () => {
  const id = await run('base', 'sleep', '100');
  assert.equal(await daemon.call('rm', '-f', id), '');
  assert.equal(await daemon.call('logs', id), `Error: No such container: ${id}\n`);
  assert.deepEqual(
    [...mountsBelow(daemon.directory), ...processesOf(daemon.directory)].filter((line) => line.includes(id)),
    [],
  );
});

test('logs -f --tail and -t show the output in order of arrival', async () => {
  const script = 'while read x && [ $x != end ]; do case $x in e*) echo $x >&2;; *) echo $x;; esac; done';
  const id = await run('-i', 'base', 'sh', '-c', script);
  const following = daemon.call('logs', '-f', id);
  const input = await daemon.connect();
  input.write(`${JSON.stringify(['attach', '-i', '-o=false', id])}\n`);
  // Each is printed once the one before is in the log: what comes sooner may be fetched stream by stream.
  let [out, errors] = ['', ''];
  for (const line of ['1\n', 'e1\n', '2\n', 'e2\n', '3\n', 'e3\n', '4\n', 'e4\n']) {
    input.write(line);
    if (line.startsWith('e')) errors += line;
    else out += line;
    await until(hasLogged(id, out + errors), `${JSON.stringify(line)} is in the log`);
  }
  input.write('end\n');
  assert.equal(await following, '1\ne1\n2\ne2\n3\ne3\n4\ne4\n');
  input.destroy();
  assert.equal(await daemon.call('logs', id), '1\n2\n3\n4\ne1\ne2\ne3\ne4\n');
  assert.equal(await daemon.call('logs', '-tail', '3', id), 'e3\n4\ne4\n');
  assert.equal(await daemon.call('logs', '--tail=0', id), '');
  assert.match(await daemon.call('logs', '-t', '--tail', '1', id), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z e4\n$/);
});

test('the end of the daemon by SIGTERM leaves containers running, and says so last', async () => {
  const id = await run('base', 'sh', '-c', TRAP);
  await until(hasLogged(id, 'up\n'), 'it is up');
  assert.equal(await daemon.end('SIGTERM'), 0);
  assert.match(daemon.log, /SIGTERM: no more calls, 0 cut; 1 containers keep running\n$/);
  await daemon.begin();
  assert.match(await daemon.call('ps'), new RegExp(`^${id} .* Up `, 'm'));
  assert.equal(await daemon.call('stop', id), `${id}\n`);
  assert.equal(await daemon.call('wait', id), '7\n');
});

test('a call under way when the daemon ends is cut after five seconds', async () => {
  const id = await run('base', 'sleep', '100');
  const waiting = daemon.call('wait', id);
  await until(async () => (await daemon.call('ps', '-q')).includes(id), 'it runs');
  const began = performance.now();
  await daemon.end('SIGINT');
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 4_500 && tookMs < 15_000, `it took ${tookMs} ms`);
  assert.match(daemon.log, /SIGINT: no more calls, 1 cut; 1 containers keep running\n$/);
  assert.equal(await waiting, '');
  await daemon.begin();
  assert.equal(await daemon.call('kill', id), '');
});

test('a killed daemon: containers go on, and the next daemon has every line once', async () => {
  const script = 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; exec sleep 100';
  const id = await run('base', 'sh', '-c', script);
  const ended = await run('base', 'sh', '-c', 'sleep 0.3; echo last words; exit 5');
  const terminal = await run('-i', '-t', 'base', 'sh', '-c', 'echo begin; read x; echo "got $x"; exit 6');
  const input = await run('-i', 'base', 'sh', '-c', 'read x; echo "read $x"; exit 8');
  const pids = async (): Promise<string> =>
    processesOf(daemon.directory)
      .filter((line) => line.includes('lxc-start'))
      .sort()
      .join();
  await until(hasLogged(terminal, 'begin\r\n'), 'the terminal is up');
  await daemon.end('SIGKILL');
  const before = await pids();
  await until(
    () => !processesOf(daemon.directory).some((line) => line.includes(` -n ${ended} `)),
    'one has ended meanwhile',
  );
  await daemon.begin();

  const expected = Array.from({ length: 2000 }, (_, i) => `line ${i + 1}\n`).join('');
  await until(hasLogged(id, expected), 'all lines are there');
  assert.equal(await daemon.call('wait', ended), '5\n');
  assert.equal(await daemon.call('logs', ended), 'last words\n');
  assert.ok(before.includes(` -n ${id} `) && (await pids()).includes(` -n ${id} `));
  assert.deepEqual(
    mountsBelow(daemon.directory).filter((mount) => mount.includes(ended)),
    [],
  );

  await daemon.callWith('word\n', 'attach', '-i', input);
  assert.equal(await daemon.call('wait', input), '8\n');
  assert.equal(await daemon.call('logs', input), 'read word\n');
  await daemon.callWith('typed\n', 'attach', '-i', terminal);
  assert.equal(await daemon.call('wait', terminal), '6\n');
  assert.equal(await daemon.call('logs', terminal), 'begin\r\ntyped\r\ngot typed\r\n');
  assert.equal(await daemon.call('kill', id), '');
  assert.equal(await daemon.call('wait', id), '-1\n');
});

test('output of 1 GiB through an attached run arrives whole, and the memory of the daemon stays flat', async () => {
  const bytes = 1 << 30;
  const residentKb = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]);
  const before = residentKb();
  const socket = await daemon.connect();
  socket.end(`${JSON.stringify(['run', '-a', 'base', 'head', '-c', String(bytes), '/dev/zero'])}\n`);
  const received = createHash('sha256');
  let most = 0;
  for await (const chunk of socket) {
    received.update(chunk as Buffer); // a socket without an encoding
    most = Math.max(most, residentKb());
  }
  assert.equal(received.digest('hex'), createHash('sha256').update(Buffer.alloc(bytes)).digest('hex'));
  assert.ok(most - before < 120_000, `it grew by ${most - before} kB`);
});

test('a client that does not read holds up neither the container nor other calls', async () => {
  const silent = await daemon.connect();
  silent.pause();
  silent.write(
    `${JSON.stringify(['run', '-a', '-c', 'silent', 'base', 'sh', '-c', 'head -c 100000000 /dev/zero; echo done >&2'])}\n`,
  );
  await until(async () => /silent/.test(await daemon.call('ps', '-a')), 'it has been started'); // and may have ended
  const [id = ''] = /^\w{8}(?=.*silent)/m.exec(await daemon.call('ps', '-a')) ?? [];
  assert.equal(await daemon.call('wait', id), '0\n');
  const log = join(daemon.directory, 'containers', id, `${id}-stderr.log`);
  assert.equal(readFileSync(log, 'utf8'), 'done\n');
  silent.destroy();
});

test('a caller that goes away leaves its container running', async () => {
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify(['run', '-a', '-c', 'orphan', 'base', 'sh', '-c', TRAP])}\n`);
  await until(async () => /orphan/.test(await daemon.call('ps')), 'it runs');
  socket.resetAndDestroy();
  const [id = ''] = /^\w{8}(?=.*orphan)/m.exec(await daemon.call('ps')) ?? [];
  await until(hasLogged(id, 'up\n'), 'it is up');
  assert.match(await daemon.call('ps'), /orphan/);
  const again = await daemon.connect();
  again.end(`${JSON.stringify(['attach', id])}\n`);
  assert.equal(await daemon.call('stop', id), `${id}\n`);
  assert.equal((await readAll(again)).toString(), 'term\n');
});

test('start and rm -f at the same time leave a container that is whole or none', async () => {
  for (let i = 0; i < 5; i++) {
    const id = await run('base', 'sleep', '100');
    await daemon.call('kill', id);
    const replies = await Promise.all([daemon.call('start', id), daemon.call('rm', '-f', id), daemon.call('rm', id)]);
    for (const reply of replies) assert.match(reply, new RegExp(`^(${id}\n|Error: No such container: ${id}\n|)$`));
    assert.equal(await daemon.call('logs', id), `Error: No such container: ${id}\n`);
    const left = [...mountsBelow(daemon.directory), ...processesOf(daemon.directory)];
    assert.deepEqual(
      left.filter((line) => line.includes(id)),
      [],
    );
  }
});

test('a container whose processes all ended with the machine is on record as ended, and can be removed', async () => {
  const program = ['base', 'sh', '-c', 'echo up; sleep 100'];
  const ids = [await run('-t', ...program), await run(...program)];
  // LXC itself, killed before its program began, would tell of an error.
  for (const id of ids) await until(async () => (await daemon.call('logs', id)).trim() === 'up', 'it is up');
  await daemon.end('SIGKILL');
  // The holders last: lxc-start would see its terminal hang up, and tell of that.
  const isHolder = (line: string): boolean => line.endsWith('sleep infinity');
  const lines = processesOf(daemon.directory).sort((a, b) => Number(isHolder(a)) - Number(isHolder(b)));
  for (const line of lines) process.kill(Number(line.split(' ')[1]), 'SIGKILL');
  await until(() => processesOf(daemon.directory).length === 0, 'all have ended');
  await daemon.begin();
  for (const id of ids) {
    assert.match(await daemon.call('ps', '-a'), new RegExp(`^${id} .* Exit -1 `, 'm'));
    assert.equal(await daemon.call('rm', id), '');
  }
});
