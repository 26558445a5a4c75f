// The long test of faults as a program: `main.ts` runs it. It ends with status 1 where something is not as it should be.
//
//   --only NAME    this scenario alone; as often as wanted
//   --driver NAME  with this mount driver alone
//   --stride N     of so many steps one

import { parseArgs } from 'node:util';
import { soakFaults } from './faults.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    driver: { type: 'string', multiple: true, default: ['overlay', 'vfs'] },
    stride: { type: 'string', default: '1' },
  },
});
const { only, driver: drivers, stride } = values;
await soakFaults({ only, drivers, stride: Number(stride) }, (line) => console.log(line));
