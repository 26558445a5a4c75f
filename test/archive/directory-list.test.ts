// The list that keeps thousands of long paths in little memory.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DirectoryList } from '../../src/archive/directory-list.js';

test('DirectoryList gives back the paths and values in their order, whatever they have in common', () => {
  const paths = ['', 'a', 'a/b', 'a/b/c', 'a/bc', 'a', 'x\xff/y', 'x\xff', '', 'a/b/c/d', 'a/b/c/d'];
  const list = new DirectoryList<number>();
  paths.forEach((path, nth) => list.push(path, nth));
  assert.deepEqual([...list], paths.map((path, nth) => [path, nth])); // prettier-ignore
  assert.deepEqual([...list].length, paths.length); // it can be read again
  assert.deepEqual([...new DirectoryList()], []);
});

// The heap, without what only waits to be collected.
function usedMemory(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void; // that flag makes it
  collect();
  return process.memoryUsage().heapUsed;
}

test('DirectoryList keeps 10,000 nested paths in much less than their length', () => {
  const list = new DirectoryList<undefined>();
  const before = usedMemory();
  for (let depth = 1; depth <= 10_000; depth++) list.push('d/'.repeat(depth).slice(0, -1), undefined);
  const grown = usedMemory() - before;
  assert.ok(grown < 5_000_000, `${grown} bytes`); // the paths are 100 MB
  let longest = '';
  for (const [path] of list) longest = path;
  assert.equal(longest.length, 19_999);
});
