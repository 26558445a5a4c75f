// The cases in other ways: the plain calls over HTTP, and what has to do with files on the driver that copies.

import test from 'node:test';
import { assertAllPass } from './on-own-machine.js';

const FILES = 'diff,commit,tar,cat,write,ls,disk';

test('Every case passes with its plain calls over HTTP', { timeout: 900_000 }, () =>
  assertAllPass(600, '--drivers', 'default', '--daemons', '3', '--transports', 'http'),
);

test('Every case that has to do with files passes on vfs', { timeout: 900_000 }, () =>
  assertAllPass(150, '--drivers', 'vfs', '--daemons', '3', '--commands', FILES),
);
