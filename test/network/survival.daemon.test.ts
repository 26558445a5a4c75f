// What of a container's network outlives the daemon, and what is freed of one that ended while no daemon ran.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { processesOf, until } from '../harness.js';
import { addressOf, answers, ask, enterOf, inspect, run, runServer } from './containers.js';
import { TestMachine } from './test-machine.js';

test('a killed daemon: published ports go on, and those of what ended meanwhile are free, as is its address', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon({ args: ['--bip', '10.66.2.1/29'] });
  const server = await runServer(daemon, 'steady', '-p', '8501:80');
  const late = await run(daemon, '-p', '8502:80', 'base', 'sleep', '1000');
  const { Pid } = (await inspect(daemon, late)).State;
  await enterOf(daemon, late); // its program is there
  const address = await addressOf(daemon, server);
  await answers(machine.enter, '127.0.0.1', 8501, 'steady');
  assert.notEqual((await machine.chains()).join('\n').indexOf('8502'), -1);

  await daemon.end('SIGKILL');
  await answers(machine.enter, '127.0.0.1', 8501, 'steady'); // no daemon has to be there
  process.kill(Number(readFileSync(`/proc/${Pid}/task/${Pid}/children`, 'latin1')), 'SIGKILL');
  await until(() => !processesOf(daemon.directory).some((line) => line.includes(` -n ${late} `)), 'one has ended');
  await daemon.begin();

  assert.equal(await daemon.call('port', server, '80'), '8501\n');
  assert.equal(await addressOf(daemon, server), address);
  await answers(machine.enter, '127.0.0.1', 8501, 'steady');
  assert.equal(await ask(machine.enter, '127.0.0.1', 8502), '');
  assert.equal((await machine.chains()).join('\n').indexOf('8502'), -1);
  assert.ok(!(await machine.links()).includes(`veth${late}`));
  // Of five addresses one is in use: room for four more, and one of them has the port.
  const ids = [await runServer(daemon, 'next', '-p', '8502:80')];
  await answers(machine.enter, '127.0.0.1', 8502, 'next');
  for (let n = 0; n < 3; n++) ids.push(await run(daemon, 'base', 'sleep', '1000'));
  const addresses = await Promise.all([server, ...ids].map((id) => addressOf(daemon, id)));
  assert.equal(new Set(addresses).size, 5);
  assert.match(await daemon.call('run', 'base', 'true'), /^Error: Cannot give the container an address: /);

  assert.equal(await daemon.call('stop', '-t', '1', server), `${server}\n`);
  assert.equal(await ask(machine.enter, '127.0.0.1', 8501), '');
  await daemon.close();
  await machine.close();
});
