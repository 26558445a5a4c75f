// Becomes the single executable, with the words it was given: so all tests that start `node dist/src/tsdock.cjs` start that
// instead, when TSDOCK_PROGRAM names the compiled form of this file. Needs Node 26, whose `process.execve` is execve(2).

import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

type Execve = (file: string, args: readonly string[], environment: NodeJS.ProcessEnv) => never;

const EXECUTABLE = fileURLToPath(new URL('../../tsdock', import.meta.url));

const execve = Reflect.get(process, 'execve') as Execve | undefined; // @types/node are those of Node 20
if (execve === undefined) throw new Error('Cannot become the single executable: this needs Node 26');
// A link that is named as a command hands its name on.
const called = basename(process.argv[1] ?? '');
const name = called === 'program.js' ? 'tsdock' : called;
execve.call(process, EXECUTABLE, [name, ...process.argv.slice(2)], process.env);
