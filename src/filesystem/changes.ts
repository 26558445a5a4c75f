// What a container changed: rw, entry by entry, compared with the layers below.
//
// `Filesystem.changes` asks. Everything in rw is a change; the layers only tell a new name from one that was there.
//
// DIFFERS D20: the original took letters from deleted names, failed on a file that had become a folder, and showed the
// bookkeeping of aufs.
//
// 2013: filesystem.go, Filesystem.Changes, Change and ChangeType

import { setImmediate } from 'node:timers/promises';
import { DirectoryList } from '../archive/directory-list.js';
import { walkSteps, type TreeForm, type WalkedEntry } from '../archive/walk-tree.js';
import { LowerLayers } from './lower-layers.js';

/** How long the event loop is kept at a time, in milliseconds. */
const SLICE_MS = 5;

/** `A`dded, `C`hanged or `D`eleted. */
export type ChangeKind = 'A' | 'C' | 'D';

/** One changed name. */
export interface Change {
  kind: ChangeKind;
  /** absolute, as in the container; one character a byte (latin1) */
  path: string;
}

/** A tree of changes, and what they are changes of. */
export interface ChangedTree {
  rw: string;
  form: TreeForm;
  /** top first */
  layers: readonly string[];
}

/**
 * The changes, in the order of 2013: depth first, by the bytes of the names, a deletion where `.wh.NAME` would stand.
 * Blocks only for moments. `skips` leaves out a path and what is in it. Paths are put together as they are read: those of
 * a deep tree could be more than there is memory.
 */
export async function listChanges(tree: ChangedTree, skips: (path: string) => boolean): Promise<Iterable<Change>> {
  const lower = new LowerLayers(tree.layers);
  try {
    const found = new DirectoryList<ChangeKind>();
    let sliceEnd = performance.now() + SLICE_MS;
    for (const entry of walkSteps(tree.rw, tree.form, skips)) {
      const kind = entry && changeOf(entry, lower);
      if (entry !== undefined && kind !== undefined) found.push(entry.path, kind);
      if (performance.now() > sliceEnd) {
        await setImmediate();
        sliceEnd = performance.now() + SLICE_MS;
      }
    }
    return { [Symbol.iterator]: () => changesIn(found) };
  } finally {
    lower.close();
  }
}

function* changesIn(found: DirectoryList<ChangeKind>): Generator<Change, void, void> {
  for (const [path, kind] of found) yield { kind, path: `/${path}` };
}

function changeOf({ kind, path, depth }: WalkedEntry, lower: LowerLayers): ChangeKind | undefined {
  while (lower.depth > depth) lower.leave();
  // QUIRK Q09: an opaque directory is in the list itself; the names that it hides are not.
  if (path === '' || kind === 'opaque') return undefined;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (kind === 'whiteout') return 'D';
  const found = lower.find(name);
  if (kind === 'directory') lower.enter(name, found);
  return found === undefined ? 'A' : 'C';
}
