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

/** The template with its placeholders filled in. Throws for an unknown placeholder, and for a value that is no single line. */
export function renderTemplate(template: string, values: TemplateValues): string {
  return template
    .split('\n')
    .flatMap((line) => (line.startsWith('#') ? [line] : renderLine(line, values)))
    .join('\n');
}

function renderLine(line: string, values: TemplateValues): string[] {
  const [, name] = /\{\{(\w+)\}\}/.exec(line) ?? [];
  if (name === undefined) return [line];
  if (!Object.hasOwn(values, name)) throw new Error(`Cannot render an LXC configuration: no value named "${name}"`);
  const value = values[name];
  const each = value === undefined ? [] : [value].flat();
  return each.flatMap((text) =>
    renderLine(
      line.replace(`{{${name}}}`, () => checkOneLine(name, text)),
      values,
    ),
  );
}

function checkOneLine(name: string, text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new Error(`Cannot render an LXC configuration: ${name} ${JSON.stringify(text)} is not one line of text`);
  }
  return text;
}
