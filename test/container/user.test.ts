import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findUser, type User } from '../../src/container/user.js';
import { Inside } from '../../src/filesystem/inside.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** Looks a user up in a tree whose /etc `fill` fills. */
async function find(t: TestContext, name: string, fill: (etc: string) => void): Promise<User | undefined> {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'etc'));
  fill(join(root, 'etc'));
  const tree = new Inside(root);
  try {
    return await findUser(tree, name);
  } finally {
    tree.close();
  }
}

const PASSWD = 'root:x:0:0::/:/bin/sh\nalice:x:1000:1001::/:/bin/sh\n4242:x:88:89::/:/bin/sh\n1000:x:7:7::/:/bin/sh\n';
const withPasswd = (etc: string): void => writeFileSync(join(etc, 'passwd'), PASSWD);

test('findUser() takes a uid first, then a name (2013: TestUser)', async (t) => {
  assert.deepEqual(await find(t, 'alice', withPasswd), { uid: 1000, gid: 1001 });
  assert.deepEqual(await find(t, '0', withPasswd), { uid: 0, gid: 0 });
  assert.deepEqual(await find(t, '1000', withPasswd), { uid: 1000, gid: 1001 }, 'a name that is another one’s uid');
  assert.deepEqual(await find(t, '4242', withPasswd), { uid: 88, gid: 89 }, 'a name of digits');
});

test('findUser() finds nobody of another name, in a damaged line, or where there is no such file', async (t) => {
  for (const name of ['bob', '9999', 'ALICE', 'x', 'alice:x', 'root:x:0:0', '']) {
    assert.equal(await find(t, name, withPasswd), undefined, name);
  }
  for (const line of ['bob', 'bob:x', 'bob:x:one:2', 'bob:x:-1:2', 'bob:x:4294967295:2', 'bob:x:1:', 'bob:x:1 :2']) {
    assert.equal(await find(t, 'bob', (etc) => writeFileSync(join(etc, 'passwd'), line)), undefined, line);
  }
  assert.equal(await find(t, 'root', () => undefined), undefined);
});

test('findUser() reads no device, no FIFO and nothing outside of the tree', async (t) => {
  const outside = temporaryFolder(t);
  writeFileSync(join(outside, 'passwd'), 'eve:x:5:5\n');
  const odd: ((path: string) => void)[] = [
    (path) => execFileSync('mkfifo', [path]),
    (path) => execFileSync('mknod', [path, 'c', '1', '5']),
    (path) => mkdirSync(path),
    (path) => symlinkSync(join(outside, 'passwd'), path),
    (path) => symlinkSync('passwd', path),
  ];
  for (const make of odd) {
    assert.equal(await find(t, 'eve', (etc) => make(join(etc, 'passwd'))), undefined);
  }
});
