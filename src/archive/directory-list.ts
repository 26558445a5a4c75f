// Paths with something about each: what has to be done to directories at the very end of an unpacking, or what has changed.
//
// The unpacker keeps one, and so does `listChanges`. Paths are kept as what differs from the path before: archives go down a tree step by step, and 10,000
// folders one in another would otherwise need 100 MB for their names.

/** A list of paths, in the order in which they were added; a path may come twice. */
export class DirectoryList<T> {
  readonly #items: { shared: number; rest: string; value: T }[] = [];
  #last = '';

  /** `path` has one character a byte (latin1). */
  push(path: string, value: T): void {
    const shared = sharedLength(this.#last, path);
    // A plain slice would keep the whole path alive.
    const rest = Buffer.from(path.slice(shared), 'latin1').toString('latin1');
    this.#items.push({ shared, rest, value });
    this.#last = path;
  }

  *[Symbol.iterator](): Generator<[path: string, value: T], void, void> {
    let path = '';
    for (const { shared, rest, value } of this.#items) {
      path = path.slice(0, shared) + rest;
      yield [path, value];
    }
  }
}

function sharedLength(one: string, other: string): number {
  if (other.startsWith(one)) return one.length; // mostly: a directory in the one before
  const end = Math.min(one.length, other.length);
  let at = 0;
  while (at < end && one.charCodeAt(at) === other.charCodeAt(at)) at++;
  return at;
}
