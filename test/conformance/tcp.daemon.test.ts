// Every case, as it was recorded, on the first mount driver that works here.

import test from 'node:test';
import { assertAllPass } from './on-own-machine.js';
import { selectCases } from './selection.js';

test('Every recorded case passes', { timeout: 900_000 }, () =>
  assertAllPass(selectCases([]).length, '--drivers', 'default', '--daemons', '4'),
);
