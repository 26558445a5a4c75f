// What the tokens of one case stand for: `{{id:c}}` is free where it is first seen, and from then on what it was there.

/** A token in a template: its kind, and the name that tells it from others of the kind. */
export const TOKEN = /\{\{([a-z]+)(?::([A-Za-z0-9_]+))?\}\}/g;

/** The values of tokens by what stands between the braces. A copy is a trial: it is kept where the step passed. */
export class Bindings {
  readonly #values: Map<string, string>;

  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values);
  }

  get(token: string): string | undefined {
    return this.#values.get(token);
  }

  set(token: string, value: string): void {
    this.#values.set(token, value);
  }

  copy(): Bindings {
    return new Bindings(this.#values);
  }

  /** Keeps what a trial has bound. */
  take(trial: Bindings): void {
    for (const [token, value] of trial.#values) this.#values.set(token, value);
  }

  /** The text with each token replaced. Throws where one has no value yet. */
  fill(text: string): string {
    return this.#replace(text, (braces) => {
      throw new Error(`Cannot fill in "${braces}": nothing has bound it yet`);
    });
  }

  /** The text with those tokens replaced that have a value, to be read by a person. */
  fillKnown(text: string): string {
    return this.#replace(text, (braces) => braces);
  }

  #replace(text: string, unknown: (braces: string) => string): string {
    return text.replace(TOKEN, (braces) => {
      if (braces === '{{lbrace}}') return '{{';
      return this.#values.get(braces.slice(2, -2)) ?? unknown(braces);
    });
  }
}
