// What the client adds to the words of a call, and whether the call reads standard input.
//
// On the wire `run` means what it meant in January 2013: detached unless `-a`. At a terminal people expect a shell from
// `tsdock run base /bin/bash`. So the client, and only it, says `-a` for them, and `-i -t` too.
//
// 2013: docker/docker.go, main, which sent its arguments as they were

/** Flags of run, start and attach that take the next word as their value. */
const VALUE_FLAGS = ['c', 'net', 'p', 'u'];
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

/** A flag before the first other word: its own word, and its value where that is the next one. */
interface LeadingFlag {
  name: string;
  isOn: boolean;
  words: string[];
}

/** Prepares the words of a call. `isTerminal` says whether standard input and output are terminals. */
export function prepareCall(words: readonly string[], isTerminal: boolean, isVerbatim: boolean): PreparedCall {
  const [word = '', ...args] = words;
  const name = word.toLowerCase();
  const isRun = name === 'run';
  const { flags, rest } = readFlags(args, isRun && !isVerbatim);
  const added = isRun && !isVerbatim ? addedFlags(flags, isTerminal) : [];
  const isSet = (flag: string): boolean =>
    added.includes(`-${flag}`) || (flags.findLast((given) => given.name === flag)?.isOn ?? false);
  // `run` without a command is a shell, and a shell is interactive, whatever the flags.
  const isShell = isRun && rest.filter((_, i) => i > 0 || rest[0] !== '--').length < 2 && !isSet('d');
  const isAttaching = ATTACHING_COMMANDS.includes(name) && (isSet('a') || isSet('i')) && !isSet('d');
  const isAttached = name === 'attach' || isShell || isAttaching;
  const line = (kept: readonly LeadingFlag[]): string[] => [
    word,
    ...added,
    ...kept.flatMap((flag) => flag.words),
    ...rest,
  ];
  return {
    words: line(flags),
    wordsForOriginal: line(isRun ? flags.filter((flag) => flag.name !== 'd') : flags),
    sendsInput: READING_COMMANDS.includes(name) || (isAttached && (isShell || isSet('i'))),
    isAttached,
    hasTty: isRun && isAttached && (isShell || isSet('t')),
  };
}

function addedFlags(flags: readonly LeadingFlag[], isTerminal: boolean): string[] {
  const isNamed = (name: string): boolean => flags.some((flag) => flag.name === name);
  if (isTerminal && !MODE_FLAGS.some(isNamed)) return ['-a', '-i', '-t'];
  return isNamed('a') || isNamed('d') ? [] : ['-a'];
}

/** The flags at the beginning of `args`, `-it` split into `-i -t` where it is asked for, and what follows them. */
function readFlags(args: readonly string[], splits: boolean): { flags: LeadingFlag[]; rest: string[] } {
  const flags: LeadingFlag[] = [];
  let next = 0;
  for (
    let arg = args[0];
    arg !== undefined && arg.length > 1 && arg.startsWith('-') && arg !== '--';
    arg = args[next]
  ) {
    next++;
    if (splits && /^-[adit]{2,}$/.test(arg)) {
      for (const name of arg.slice(1)) flags.push({ name, isOn: true, words: [`-${name}`] });
      continue;
    }
    const [, name = '', value] = /^--?([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    const takesNext = VALUE_FLAGS.includes(name) && value === undefined;
    const words = takesNext ? args.slice(next - 1, ++next) : [arg];
    flags.push({ name, isOn: !/^(0|f|false)$/i.test(value ?? ''), words });
  }
  return { flags, rest: args.slice(next) };
}
