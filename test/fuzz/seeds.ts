// The cases that once failed: done again before anything new is tried. Each says what it found. A change of what a target
// makes of a seed makes these mean something else: whoever changes a generator looks for new ones against the old mistake.

import type { Case } from './fuzz.js';

export const SEEDS: readonly Case[] = [
  // A word with half a surrogate pair was one name in memory and another one in files and programs.
  { target: 'call-line', seed: 1428783275 },
  // A deeply nested value, which the error wanted to show, was answered with a RangeError.
  { target: 'call-line', seed: 3473966919 },
  // The JSON decoder's text quotes the line: control characters and newlines went to the caller's terminal.
  { target: 'call-line', seed: 1892185023 },
  // A number or a time in a pax header that is none was shown in full: an error of up to a megabyte.
  { target: 'tar-reader', seed: 3301536719 },
  { target: 'tar-reader', seed: 1034932315 },
  { target: 'unpack', seed: 3818556185 },
  // The name in the error of a failed system call was shown as it is: an error of several lines.
  { target: 'unpack', seed: 2756065097 },
  // What wrote to a caller over HTTP waited for ever where that one had gone: its call and its file stayed open.
  { target: 'commands', seed: 3008100246 },
];
