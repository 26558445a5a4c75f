// The long test of faults as a program: `main.ts` runs it. It ends with status 1 where something is not as it should be.
//
//   --only NAME    this scenario alone; as often as wanted
//   --driver NAME  with this mount driver alone
//   --stride N     of so many steps one
//   --both         each step alone, and with all after it: twice the time
//   --other-way    what failed alone fails with all after it, and the other way round

import { parseArgs } from 'node:util';
import { soakFaults } from './faults.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    driver: { type: 'string', multiple: true, default: ['overlay', 'vfs'] },
    stride: { type: 'string', default: '1' },
    both: { type: 'boolean', default: false },
    'other-way': { type: 'boolean', default: false },
  },
});
const { only, driver: drivers, stride } = values;
const options = { only, drivers, stride: Number(stride), isBoth: values.both, isOtherWay: values['other-way'] };
const steps = await soakFaults(options, (line) => console.log(line));
console.log(`${steps} steps failed: each was told in one line, and left what was before or after`);
