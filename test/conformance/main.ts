// `npm run conformance`: plays the recorded cases against a daemon that runs, or against daemons of our own.

import { writeFileSync } from 'node:fs';
import { makeFixture, readFixture } from './fixture.js';
import { HELP, readOptions, type Options } from './options.js';
import { playOnOwnMachine } from './own-machine.js';
import { conclude, playTransports } from './plays.js';
import { call, restartBy, type Target } from './target.js';

const print = (line: string): void => console.log(line);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) print(HELP);
  else if (options.writeFixture !== undefined) writeFixture(options.writeFixture);
  else return options.drivers.length > 0 ? playOnOwnMachine(args, print) : playGiven(options);
  return 0;
}

function writeFixture(file: string): void {
  const { tar, hash } = makeFixture('jan29');
  writeFileSync(file === '-' ? 1 : file, tar);
  if (file !== '-') print(`base:${hash}`);
}

/** Plays against the daemon that the options name. */
async function playGiven(options: Options): Promise<number> {
  const { tcp, http, root, hasNetwork, hasTerm, usage, timeoutMs } = options;
  const restart = options.restart === undefined ? undefined : restartBy(options.restart);
  const target: Target = { tcp, http, root, restart, hasNetwork, hasTerm, usage, timeoutMs };
  if (!options.shouldDestroy && (await call(target, ['ps', '-a', '-q'])).length > 0) {
    throw new Error('Cannot play against this daemon: it has containers, which would be removed; --destroy does it');
  }
  const fixture = options.setupTar === undefined ? undefined : readFixture(options.setupTar);
  const again = ['npm run conformance --', ...givenFlags(options)].join(' ');
  const tally = await playTransports(
    [target],
    options,
    { again, suffix: '', fixture, inOrder: (cases) => cases },
    print,
  );
  return conclude(tally, print);
}

/** What tells this daemon from another, to be typed again. */
function givenFlags({ tcp, http, root, restart, hasNetwork, hasTerm }: Options): string[] {
  return [
    `--tcp ${tcp.host}:${tcp.port} --http ${http.host}:${http.port}`,
    ...(root === undefined ? [] : [`--root ${root}`]),
    ...(restart === undefined ? [] : [`--restart '${restart}'`]),
    ...(hasNetwork ? ['--net'] : []),
    ...(hasTerm ? ['--term'] : []),
  ];
}
