// `expect_usage` and `expect_overview`: the prose of a help text is everybody's own; names, synopses, flags, defaults and layout
// are those of 2013. The program may call itself docker or tsdock, and know more flags and commands than were recorded.

import type { Bindings } from '../bindings.js';
import { linesOf } from '../bytes.js';
import { textMismatch, type Mismatch } from '../mismatch.js';
import { literal, Pattern } from '../pattern.js';

export interface UsageExpectation {
  /** a template of what stands before the usage */
  before: string;
  /** the command, or several with `|` between them: any of these is right */
  name: string;
  /** flags and arguments as the usage line has them */
  signature: string;
  /** the default of each flag */
  flags: Record<string, string>;
  after: string;
}

export interface OverviewExpectation {
  before: string;
  after: string;
}

/** How flags are listed: by the Go of 2013, or by the Go that an original was built with again. */
export type UsageForm = '2013' | 'go1.19';
export const USAGE_FORMS: readonly UsageForm[] = ['2013', 'go1.19'];

const PROGRAM = '(?:docker|tsdock)';
const COMMANDS = 'run ps pull put rm stop logs diff commit attach tar web wait info'.split(' ');

/** Compares with the usage of one command. The originals printed it twice here and there; once is enough. */
export function judgeUsage(
  usage: UsageExpectation,
  form: UsageForm,
  reply: Buffer,
  bindings: Bindings,
): Mismatch | undefined {
  const pattern = new Pattern(bindings)
    .template(usage.before)
    .source(`(?:${usageSource(usage, form)}){1,2}`)
    .template(usage.after);
  if (pattern.match(reply) !== undefined) return undefined;
  const flags = Object.entries(usage.flags).map(([flag, value]) => `  -${flag}=${value}: {{any}}\n`);
  const synopsis = `Usage: tsdock ${usage.name.split('|')[0] ?? ''} ${usage.signature}`.trimEnd();
  const template = `${usage.before}\n${synopsis}\n\n{{any}}\n\n${flags.join('')}${usage.after}`;
  return textMismatch('the usage differs', template, reply, bindings);
}

/** Looks for each command of 2013 in the overview, where it is to be once. */
export function judgeOverview(overview: OverviewExpectation, reply: Buffer, bindings: Bindings): Mismatch | undefined {
  const groups = new Pattern(bindings)
    .template(overview.before)
    .source(`Usage: ${PROGRAM} COMMAND \\[arg\\.\\.\\.\\]\\n\\n[^\\n]+\\n\\nCommands:\\n`)
    .source('(?<list>(?:    [^ \\n]+ +[^ \\n][^\\n]*\\n)+)(?:\\n(?:[^\\n]*\\n)*?)?')
    .template(overview.after)
    .match(reply);
  if (groups === undefined) {
    const template = `${overview.before}Usage: tsdock COMMAND [arg...]\n\n{{any}}\n\nCommands:\n${overview.after}`;
    return textMismatch('this is no overview of the commands', template, reply, bindings);
  }
  const names = linesOf(groups.get('list') ?? '').map((line) => line.trim().split(' ')[0] ?? '');
  const missing = COMMANDS.filter((name) => !names.includes(name));
  const twice = names.filter((name, at) => names.indexOf(name) !== at);
  const wrong = [
    ...missing.map((name) => `"${name}" is missing`),
    ...twice.map((name) => `"${name}" stands there twice`),
  ];
  return wrong.length === 0 ? undefined : { reason: `in the overview of the commands ${wrong.join(', ')}` };
}

/** One usage: a flag of the recorded ones may stand anywhere in the list. */
function usageSource({ name, signature, flags }: UsageExpectation, form: UsageForm): string {
  const listed = Object.entries(flags).map(([flag, value]) => {
    const line =
      form === '2013'
        ? `  -${literal(flag)}=${literal(value)}: [^\\n]+\\n`
        : `  -${literal(flag)}(?: \\w+)?(?:\\t|\\n    \\t)[^\\n]+\\n`;
    return `(?=(?:  [^\\n]+\\n)*?${line})`;
  });
  const synopsis = signature === '' ? '' : ` ${literal(signature)}`;
  return `\\nUsage: ${PROGRAM} (?:${name})${synopsis}\\n\\n[^\\n]+\\n\\n${listed.join('')}(?:  [^\\n]+\\n)*`;
}
