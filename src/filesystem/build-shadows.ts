// Builds the folders that overlay needs around a layer that deletes something; `overlay-shadows.ts` tells what they are.
// In blocking calls: the tree worker runs it.

import { constants, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  readDirectoryAttributes,
  setDirectoryAttributes,
  type DirectoryAttributes,
} from '../archive/directory-attributes.js';
import { walkTree, type WalkedEntry } from '../archive/walk-tree.js';
import { BOOKKEEPING_PREFIX, OPAQUE_MARKER, OVERLAY_OPAQUE } from '../archive/whiteouts.js';
import { mkdirat, mknodat, nativeName, pathAt, unlinkat } from '../linux/at.js';
import { DirectoryStack } from '../linux/directory-stack.js';
import { hasCode } from '../linux/libc.js';
import { fsetxattr } from '../linux/xattr.js';

const { S_IFCHR } = constants;
/** Hides the `.wh.` names of the layer. */
export const ABOVE = 'above';
/** Deletes what they stand for. */
export const BELOW = 'below';
/** A file that says: nothing of the layers below this one is to be seen. */
export const OPAQUE_ROOT = 'opaque';

/** A directory of the layer on the way to where the walk is. */
interface OnTheWay {
  name: Buffer;
  attributes: DirectoryAttributes;
}

/** Makes `above` and `below` in `target`, as far as the layer needs them. */
export function buildShadows(layer: string, target: string): void {
  const way: OnTheWay[] = [];
  let shadows: Shadows | undefined;
  try {
    for (const entry of walkTree(layer, 'aufs')) {
      shadows?.leaveTo(entry.depth);
      if (entry.kind === 'directory') {
        // The root comes first, as its own level 0; a directory at depth N is level N + 1.
        way.length = entry.path === '' ? 0 : entry.depth + 1;
        const path = pathAt(entry.directory, entry.name);
        way.push({ name: entry.name, attributes: readDirectoryAttributes(path, entry.stat) });
        const bookkeeping = bookkeepingIn(path);
        if (bookkeeping.length === 0) continue;
        shadows ??= new Shadows(target, way);
        shadows.enterTo(way.length - 1);
        for (const name of bookkeeping) shadows.hide(name);
      } else if (entry.kind === 'whiteout' || entry.kind === 'opaque') {
        if (entry.path === '' && entry.kind === 'opaque') writeFileSync(join(target, OPAQUE_ROOT), '');
        shadows ??= new Shadows(target, way);
        shadows.enterTo(entry.depth);
        shadows.add(entry);
      }
    }
    shadows?.leaveTo(-1);
  } finally {
    shadows?.close();
  }
}

// What aufs keeps for itself in a directory of the layer, which the walk passes over.
function bookkeepingIn(directory: Buffer): Buffer[] {
  return readdirSync(directory, 'latin1')
    .filter((name) => name.startsWith(BOOKKEEPING_PREFIX) && name !== OPAQUE_MARKER)
    .map((name) => nativeName(Buffer.from(name, 'latin1')));
}

// The two trees, grown along the way of the walk. Owned by one build, which closes it in any case.
class Shadows {
  readonly #above: DirectoryStack;
  readonly #below: DirectoryStack;
  readonly #way: readonly OnTheWay[];

  constructor(target: string, way: readonly OnTheWay[]) {
    for (const name of [ABOVE, BELOW]) mkdirSync(join(target, name), { mode: 0o755 });
    this.#above = new DirectoryStack(join(target, ABOVE));
    this.#below = new DirectoryStack(join(target, BELOW));
    this.#way = way;
  }

  /** Makes the directories of the way, down to `depth`. */
  enterTo(depth: number): void {
    while (this.#above.depth < depth) {
      const name = this.#way[this.#above.depth + 1]?.name ?? nativeName('');
      mkdirat(this.#above.fd, name, 0o755);
      this.#above.enter(name);
      const isDeleted = !this.#tryInBelow(() => mkdirat(this.#below.fd, name, 0o755));
      if (isDeleted) {
        unlinkat(this.#below.fd, name);
        mkdirat(this.#below.fd, name, 0o755);
      }
      this.#below.enter(name);
      if (isDeleted) this.#makeOpaque();
    }
  }

  /** Goes up to `depth`; what is left gets its attributes, now that nothing more is made in it. At -1 the root as well. */
  leaveTo(depth: number): void {
    while (this.#above.depth > depth) {
      const attributes = this.#way[this.#above.depth]?.attributes;
      if (attributes !== undefined) setDirectoryAttributes(this.#above.fd, attributes);
      if (this.#above.depth === 0) return;
      for (const stack of [this.#above, this.#below]) stack.leave();
    }
  }

  /** Hides a name of the layer. */
  hide(name: Buffer): void {
    mknodat(this.#above.fd, name, S_IFCHR);
  }

  /** Hides the mark `entry`, and does what it says. */
  add({ kind, name, path }: WalkedEntry): void {
    this.hide(name);
    if (kind === 'opaque') return this.#makeOpaque();
    const deleted = nativeName(Buffer.from(path.slice(path.lastIndexOf('/') + 1), 'latin1'));
    if (this.#tryInBelow(() => mknodat(this.#below.fd, deleted, S_IFCHR))) return;
    this.#below.enter(deleted);
    this.#makeOpaque();
    this.#below.leave();
  }

  #makeOpaque(): void {
    fsetxattr(this.#below.fd, Buffer.from(OVERLAY_OPAQUE), Buffer.from('y'));
  }

  /** False where the name is taken: the layer has a directory and its deletion side by side, which makes it opaque. */
  #tryInBelow(make: () => void): boolean {
    try {
      make();
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    }
  }

  close(): void {
    this.#above.close();
    this.#below.close();
  }
}
