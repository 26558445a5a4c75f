// What the client adds to the words of a call, and whether the call reads standard input.
//
// On the wire `run` means what it meant in January 2013: detached unless `-a`. At a terminal people expect a shell from
// `tsdock run base /bin/bash`. So the client, and only it, says `-a` for them, and `-i -t` too.
//
// 2013: docker/docker.go, main, which sent its arguments as they were

/** Flags of run, start and attach that take the next word as their value. */
const VALUE_FLAGS = ['c'];
/** The flags of `run` that decide how it is attached; a person may write them in one word. */
const MODE_FLAGS = ['a', 'd', 'i', 't'];
/** Commands that read standard input whatever their flags. */
const READING_COMMANDS = ['put', 'write', 'mirror', 'debug'];
/** Commands that may attach the caller to a container. */
const ATTACHING_COMMANDS = ['run', 'start', 'attach'];

/** A call as the client makes it. */
export interface PreparedCall {
  words: string[];
  /** the words for an original daemon, which knows no `-d` */
  wordsForOriginal: string[];
  /** standard input goes along */
  sendsInput: boolean;
  /** the caller is attached: signals and the terminal are the program's */
  isAttached: boolean;
  /** the program gets a terminal, as far as the words tell */
  hasTty: boolean;
}

/** Prepares the words of a call. `isTerminal` says whether standard input and output are terminals. */
export function prepareCall(words: readonly string[], isTerminal: boolean, isVerbatim: boolean): PreparedCall {
  const [word = '', ...rest] = words;
  const name = word.toLowerCase();
  const given = name === 'run' && !isVerbatim ? splitModeFlags(rest) : rest;
  const flags = leadingFlags(given);
  const added = name === 'run' && !isVerbatim ? addedFlags(flags, isTerminal) : [];
  const isSet = (flag: string): boolean => added.includes(`-${flag}`) || (flags.get(flag)?.isOn ?? false);
  // `run` without a command is a shell, and a shell is interactive, whatever the flags.
  const isShell = name === 'run' && given.length - countFlagWords(given) < 2 && !isSet('d');
  const isAttached =
    name === 'attach' || isShell || (ATTACHING_COMMANDS.includes(name) && (isSet('a') || isSet('i')) && !isSet('d'));
  const all = [word, ...added, ...given];
  return {
    words: all,
    wordsForOriginal: name === 'run' ? [word, ...added, ...withoutDetach(given)] : all,
    sendsInput: READING_COMMANDS.includes(name) || (isAttached && (isShell || isSet('i'))),
    isAttached,
    hasTty: name === 'run' && isAttached && (isShell || isSet('t')),
  };
}

/** `-it` as `-i -t`. */
function splitModeFlags(args: readonly string[]): string[] {
  const end = countFlagWords(args);
  return args.flatMap((arg, i) =>
    i < end && /^-[adit]{2,}$/.test(arg) ? Array.from(arg.slice(1), (flag) => `-${flag}`) : [arg],
  );
}

function addedFlags(flags: ReadonlyMap<string, unknown>, isTerminal: boolean): string[] {
  if (isTerminal && !MODE_FLAGS.some((flag) => flags.has(flag))) return ['-a', '-i', '-t'];
  return flags.has('a') || flags.has('d') ? [] : ['-a'];
}

function withoutDetach(args: readonly string[]): string[] {
  const end = countFlagWords(args);
  return args.filter((arg, i) => i >= end || !/^--?d(=|$)/.test(arg));
}

/** The flags before the first other word, by name. */
function leadingFlags(args: readonly string[]): Map<string, { isOn: boolean }> {
  const flags = new Map<string, { isOn: boolean }>();
  for (const arg of args.slice(0, countFlagWords(args))) {
    const [, name, value] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name !== undefined) flags.set(name, { isOn: !/^(0|f|false)$/i.test(value ?? '') });
  }
  return flags;
}

/** How many words belong to the flags, values and a closing `--` included. */
function countFlagWords(args: readonly string[]): number {
  let count = 0;
  for (let arg = args[0]; arg !== undefined && arg.length > 1 && arg.startsWith('-'); arg = args[count]) {
    count += VALUE_FLAGS.includes(arg.replace(/^--?/, '')) ? 2 : 1;
    if (arg === '--') break;
  }
  return count;
}
