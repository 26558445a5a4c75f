// One case: what is sent to a daemon, step by step, and what the originals answered. README.md tells what each key means.

import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { parseOrdered, type Json } from './ordered-json.js';
import type { TableExpectation } from './expectations/table.js';
import type { OverviewExpectation, UsageExpectation } from './expectations/usage.js';

/** What a case cannot be played without. */
export const NEEDS = ['root', 'restart', 'net', 'term'] as const;
export type Need = (typeof NEEDS)[number];

/** Which original answered: January 29, 2013 or March 7, 2013. Each has a base image of its own. */
export type Reference = 'jan29' | 'mar7';

export interface Step {
  // what is done
  transport?: 'tcp' | 'http';
  args?: string[];
  raw?: string;
  raw_b64?: string;
  path?: string;
  method?: string;
  stdin?: string | null;
  stdin_b64?: string;
  stdin_tar?: 'base' | 'base.gz' | 'base.bz2' | 'base.xz';
  halfclose?: boolean;
  parallel?: number;
  conn?: string;
  send?: string;
  shutdown?: boolean;
  close?: boolean;
  until?: string;
  quiet?: number;
  eof?: boolean;
  sleep?: number;
  restart?: boolean;
  disk?: string;
  disk_file?: string;
  host_tcp?: string;
  // how long
  timeout?: number;
  retry_s?: number;
  // what comes of it
  expect?: string;
  expect_status?: number;
  expect_ctype?: string;
  expect_usage?: UsageExpectation;
  expect_overview?: OverviewExpectation;
  expect_json?: Json;
  json_layout?: 'compact' | 'indented';
  expect_tar?: string;
  tar_filter?: string;
  expect_table?: TableExpectation;
  expect_b64?: string;
  expect_sha256?: string;
  expect_len?: number;
  expect_contains?: string[];
}

export interface Case {
  name: string;
  why: string;
  command: string;
  steps: Step[];
  needs?: Need[];
  reference?: Reference;
  serve?: Record<string, string>;
  note?: string;
  /** the folder that it lies in: january, march, ours */
  folder: string;
}

const CASE_KEYS = 'name why command steps needs reference serve note'.split(' ');
const STEP_KEYS =
  `transport args raw raw_b64 path method stdin stdin_b64 stdin_tar halfclose parallel conn send shutdown close until quiet eof
   sleep restart disk disk_file host_tcp timeout retry_s expect expect_status expect_ctype expect_usage expect_overview
   expect_json json_layout expect_tar tar_filter expect_table expect_b64 expect_sha256 expect_len expect_contains`.split(
    /\s+/,
  );

/** The case of a file. Throws where it has a key that nothing would look at. */
export function readCase(file: string): Case {
  const name = basename(file, '.json');
  const text = readFileSync(file, 'utf8');
  const read = JSON.parse(text) as Omit<Case, 'folder'>; // our own files; their keys are checked here
  const unknown = [
    ...Object.keys(read).filter((key) => !CASE_KEYS.includes(key)),
    ...read.steps.flatMap((step) => Object.keys(step).filter((key) => !STEP_KEYS.includes(key))),
    ...(read.needs ?? []).filter((need) => !NEEDS.includes(need)),
  ];
  if (unknown.length > 0)
    throw new Error(`Cannot read the case "${file}": nothing is known of "${unknown.join('", "')}"`);
  if (read.name !== name) throw new Error(`Cannot read the case "${file}": it calls itself "${read.name}"`);
  for (const [at, expected] of orderedJson(text)) Object.assign(read.steps[at] ?? {}, { expect_json: expected });
  return { ...read, folder: basename(dirname(file)) };
}

/** What of the base image and of the daemon the case was recorded with. */
export function referenceOf({ reference }: Case): Reference {
  return reference ?? 'jan29';
}

/** The value of each `expect_json`, by the place of its step: with the order of its keys. */
function orderedJson(text: string): [at: number, expected: Json][] {
  const whole = parseOrdered(text);
  const steps = whole instanceof Map ? whole.get('steps') : undefined;
  if (!Array.isArray(steps)) return [];
  return steps.flatMap((step, at) => {
    const expected = step instanceof Map ? step.get('expect_json') : undefined;
    return expected === undefined ? [] : [[at, expected]];
  });
}
