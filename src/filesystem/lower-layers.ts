// What the layers of a container show at the place where a walk is: they are walked down in step, so that a name is
// looked up by descriptors and no symbolic link of a layer is followed.
//
// Owns the descriptors of all layers on the way; `close` gives them back.

import { constants } from 'node:fs';
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from '../archive/whiteouts.js';
import { nativeName, typeAt } from '../linux/at.js';
import { DirectoryStack } from '../linux/directory-stack.js';

const { S_IFDIR } = constants;

/** A name as the layers show it. */
export interface Shown {
  /** its type bits, as `S_IFDIR` */
  type: number;
  /** the open directory of the layer that has it, until the next step up or down */
  directory: number;
}

/** See the head of the file. */
export class LowerLayers {
  /** one for each layer, top first */
  readonly #stacks: readonly DirectoryStack[];
  /** at each level the layers that show through there, top first; the root is the first level */
  readonly #levels: DirectoryStack[][];

  /** Begins at the root of the layers, given top first. */
  constructor(layers: readonly string[]) {
    const opened: DirectoryStack[] = [];
    this.#stacks = opened;
    try {
      for (const layer of layers) opened.push(new DirectoryStack(layer));
    } catch (error) {
      this.close();
      throw error;
    }
    this.#levels = [untilOpaque(opened)];
  }

  /** How far down we are. */
  get depth(): number {
    return this.#levels.length - 1;
  }

  /** What the layers show under `name` (latin1) in this directory; undefined where they show nothing. */
  find(name: string): Shown | undefined {
    const shown = this.#shown;
    for (const [index, { fd }] of shown.entries()) {
      const type = shownIn(fd, name);
      if (type !== undefined) return { type, directory: fd };
      if (index < shown.length - 1 && isDeleted(fd, name)) return undefined;
    }
    return undefined;
  }

  /** Goes down into `name` (latin1), of which `find` has told `found`; where that is no directory the layers show nothing further down. */
  enter(name: string, found: Shown | undefined): void {
    const shown = this.#shown;
    const entered: DirectoryStack[] = [];
    const first = found?.type === S_IFDIR ? shown.findIndex(({ fd }) => fd === found.directory) : shown.length;
    for (const [index, stack] of [...shown.entries()].slice(first)) {
      const { fd } = stack;
      const type = index === first ? S_IFDIR : shownIn(fd, name);
      // Anything else of that name hides what lies below.
      if (type !== undefined && type !== S_IFDIR) break;
      const isLast = index === shown.length - 1 || isDeleted(fd, name);
      if (type === S_IFDIR) {
        stack.enter(latin1Name(name));
        entered.push(stack);
      }
      if (isLast) break;
    }
    const visible = untilOpaque(entered);
    for (const stack of entered.slice(visible.length)) stack.leave();
    this.#levels.push(visible);
  }

  /** Goes up again. */
  leave(): void {
    for (const stack of this.#levels.pop() ?? []) stack.leave();
  }

  close(): void {
    for (const stack of this.#stacks) stack.close();
  }

  get #shown(): readonly DirectoryStack[] {
    return this.#levels.at(-1) ?? [];
  }
}

/** The layers down to the first one whose directory is opaque. */
function untilOpaque(stacks: readonly DirectoryStack[]): DirectoryStack[] {
  const opaque = stacks.findIndex(
    ({ fd }, index) => index < stacks.length - 1 && typeIn(fd, OPAQUE_MARKER) !== undefined,
  );
  return stacks.slice(0, opaque < 0 ? undefined : opaque + 1);
}

function isDeleted(directory: number, name: string): boolean {
  return typeIn(directory, WHITEOUT_PREFIX + name) !== undefined;
}

/** A name that begins as those of deletions is one in a layer, and never shown. */
function shownIn(directory: number, name: string): number | undefined {
  return name.startsWith(WHITEOUT_PREFIX) ? undefined : typeIn(directory, name);
}

function typeIn(directory: number, name: string): number | undefined {
  return typeAt(directory, latin1Name(name));
}

function latin1Name(name: string): Buffer {
  return nativeName(Buffer.from(name, 'latin1'));
}
