import test from 'node:test';
import assert from 'node:assert/strict';
import type { PortMapping } from '../../src/network/firewall.js';
import { PortMapper } from '../../src/network/port-mapper.js';

/** A packet filter that writes when it is told to. */
class SlowFilter {
  readonly written: number[][] = [];
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  publish(mappings: readonly PortMapping[]): Promise<void> {
    this.written.push(mappings.map(({ publicPort }) => publicPort));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Ends the oldest write, once it has begun. */
  async end(error?: Error): Promise<void> {
    await new Promise(setImmediate);
    const { resolve, reject } = this.#waiting.shift() ?? assert.fail('nothing is written');
    if (error === undefined) resolve();
    else reject(error);
  }
}

/** A log that nothing should be said in. */
const refuse = (line: string): never => {
  throw new Error(`said in the log: ${line}`);
};

const mapping = (publicPort: number): PortMapping => {
  return { hostAddress: '', publicPort, privatePort: 80, protocol: 'tcp', containerAddress: 1 };
};

test('PortMapper.map() and unmap() write together what comes while another write is under way', async () => {
  const filter = new SlowFilter();
  const mapper = new PortMapper(filter, refuse);
  const first = mapping(1);
  const done = [mapper.map([first])];
  await new Promise(setImmediate);
  done.push(mapper.map([mapping(2)]), mapper.map([mapping(3), mapping(4)]), mapper.unmap([first]));
  await filter.end();
  await filter.end();
  await Promise.all(done);
  assert.deepEqual(filter.written, [[1], [2, 3, 4]]);
});

test('PortMapper.map() and unmap() of nothing write nothing', async () => {
  const filter = new SlowFilter();
  const mapper = new PortMapper(filter, refuse);
  await mapper.map([]);
  await mapper.unmap([]);
  assert.deepEqual(filter.written, []);
});

test('PortMapper.map() that fails leaves nothing behind, and the next write goes on', async () => {
  const filter = new SlowFilter();
  const mapper = new PortMapper(filter, refuse);
  const failed = assert.rejects(mapper.map([mapping(1)]), /^Error: no more rules$/);
  await filter.end(new Error('no more rules'));
  await failed;
  const next = mapper.map([mapping(2)]);
  await filter.end();
  await next;
  assert.deepEqual(filter.written, [[1], [2]]);
});

test('PortMapper.ready() writes what an earlier daemon had and is on record', async () => {
  const filter = new SlowFilter();
  const mapper = new PortMapper(filter, refuse);
  mapper.claim([mapping(7)]);
  const written = mapper.ready();
  await filter.end();
  await written;
  assert.deepEqual(filter.written, [[7]]);
});

test('PortMapper tries again what could not be written, until it is', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const filter = new SlowFilter();
  const mapper = new PortMapper(filter, refuse);
  const mapped = mapping(1);
  const done = mapper.map([mapped]);
  await filter.end();
  await done;
  const failed = assert.rejects(mapper.unmap([mapped]), /^Error: locked$/);
  await filter.end(new Error('locked'));
  await failed;
  for (const problem of [new Error('still locked'), undefined]) {
    await new Promise(setImmediate);
    t.mock.timers.tick(1_000);
    await filter.end(problem);
  }
  await new Promise(setImmediate);
  t.mock.timers.tick(10_000);
  await new Promise(setImmediate);
  assert.deepEqual(filter.written, [[1], [], [], []]);
});
