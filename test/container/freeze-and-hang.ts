// A process that freezes a container for ever: `node freeze-and-hang.js DIRECTORY ID` says "frozen" when it has.

import { openContainers } from './open-containers.js';

const [directory = '', id = ''] = process.argv.slice(2);
const { containers, atExit } = await openContainers(directory);
process.once('SIGTERM', () => process.exit());
process.once('exit', () => atExit.forEach((undo) => undo()));
await containers.get(id)?.whileFrozen(() => {
  process.stdout.write('frozen\n');
  return new Promise(() => undefined);
});
