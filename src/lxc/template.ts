// Fills in a template of `lxc-templates/`.
//
// A placeholder is `{{name}}`. A line is written once for each value that its placeholder has: no value, no line; a list,
// a line each. So a template stays plain LXC configuration with holes, and needs no conditions.
//
// The rule that must hold: no value can add a line. What holds a control character is refused.
//
// 2013: lxc_template.go (text/template)

/** The values for the placeholders of a template. */
export type TemplateValues = Readonly<Record<string, string | readonly string[] | undefined>>;

const PLACEHOLDER = /\{\{(\w+)\}\}/g;

/** The template with its placeholders filled in. Throws for an unknown placeholder, and for a value that is no single line. */
export function renderTemplate(template: string, values: TemplateValues): string {
  return template
    .split('\n')
    .flatMap((line) => (line.startsWith('#') ? [line] : renderLine(line, values)))
    .join('\n');
}

/** In one pass: what looks like a placeholder in a value is text. */
function renderLine(line: string, values: TemplateValues): string[] {
  const names = [...line.matchAll(PLACEHOLDER)].map(([, name = '']) => name);
  const lists = names.map((name) => valuesOf(name, values));
  if (lists.some((list) => list.length === 0)) return [];
  const count = Math.max(1, ...lists.map((list) => list.length));
  return Array.from({ length: count }, (_, i) => {
    let at = 0;
    return line.replace(PLACEHOLDER, () => {
      const list = lists[at++] ?? [];
      return list[Math.min(i, list.length - 1)] ?? '';
    });
  });
}

function valuesOf(name: string, values: TemplateValues): string[] {
  if (!Object.hasOwn(values, name)) throw new Error(`Cannot render an LXC configuration: no value named "${name}"`);
  const value = values[name];
  return value === undefined ? [] : [value].flat().map((text) => checkOneLine(name, text));
}

function checkOneLine(name: string, text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new Error(`Cannot render an LXC configuration: ${name} ${JSON.stringify(text)} is not one line of text`);
  }
  return text;
}
