// The declaration of a command: its synopsis, its description and its flags, said once beside the method that does it.
// Help, `--help`, the parsing of flags and the README's table of commands all come from it.
//
// 2013: rcli/types.go, Subcmd (a flag.FlagSet made inside each command; the overview was a second list, and the two drifted)

import type { Writable } from 'node:stream';
import { FlagError, HELP_REQUESTED, parseFlags, type DeclaredFlag, type FlagValue } from './flags.js';
import { usageText } from './usage.js';

/** A flag: its default value and what it means. */
export interface Flag<T extends FlagValue = FlagValue> extends DeclaredFlag {
  readonly value: T;
  readonly text: string;
}

/** A boolean flag, off unless named. */
export function bool(value: boolean, text: string): Flag<boolean> {
  return { value, text };
}

/** A flag with a text value. `check` throws for a text that means nothing to it. */
export function string(value: string, text: string, check?: (text: string) => unknown): Flag<string> {
  return check === undefined ? { value, text } : { value, text, check };
}

/** A flag that may be given more than once: all the texts. `check` as for `string`. */
export function list(text: string, check: (text: string) => unknown): Flag<readonly string[]> {
  return { value: [], text, check };
}

/** A flag with a whole number as value. */
export function int(value: number, text: string): Flag<number> {
  return { value, text };
}

/** The flags of a command by name, without the dash. */
export type Flags = Readonly<Record<string, Flag>>;

/** What a call gave for each flag, and the arguments after them. */
export interface ParsedCall<F extends Flags> {
  readonly flags: { readonly [Name in keyof F]: F[Name]['value'] };
  readonly args: string[];
}

/** The declaration of one command. */
export class Command<F extends Flags = Flags> {
  constructor(
    /** the word that calls it, in small letters */
    readonly name: string,
    /** what follows the word: `[OPTIONS] CONTAINER` */
    readonly synopsis: string,
    readonly description: string,
    readonly flags: F,
    /** the exit status of the client when the call fails */
    readonly failureStatus = 1,
  ) {}

  /**
   * The flags and arguments of a call. Undefined where the call is answered by that already: `--help` and a wrong flag
   * print the usage, and that is no error of the call (2013: the error of Parse was swallowed).
   */
  parse(stdout: Writable, args: readonly string[]): ParsedCall<F> | undefined {
    try {
      return this.read(args);
    } catch (error) {
      if (!(error instanceof FlagError)) throw error;
      if (error.message !== HELP_REQUESTED) stdout.write(`${error.message}\n`);
      this.usage(stdout);
      return undefined;
    }
  }

  /** The flags and arguments of a call. Throws FlagError. */
  read(args: readonly string[]): ParsedCall<F> {
    return parseFlags(this.flags, args) as ParsedCall<F>; // it gives each declared flag a value of its default's type
  }

  /** Prints how to call it. */
  usage(stdout: Writable): void {
    stdout.write(usageText(this));
  }
}

/** Declares a command. See `Command`. */
export function command<F extends Flags>(
  name: string,
  synopsis: string,
  description: string,
  flags: F,
  failureStatus?: number,
): Command<F> {
  return new Command(name, synopsis, description, flags, failureStatus);
}
