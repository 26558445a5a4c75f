// A tree on disk, entry by entry: the one order in which changes are listed and archives are written.
//
// Depth first, names by their bytes. A deletion stands where its name in an archive, `.wh.NAME`, would stand. How
// deletions are written on disk is the form of the tree; what comes out is the same for all forms.
//
// The rule that must hold: every lookup starts from a directory that the walk itself has opened, so what a running
// container does to its tree meanwhile leads nowhere else.
//
// 2013: filesystem.go, Filesystem.Changes (its filepath.Walk)

import { constants, lstatSync, type BigIntStats } from 'node:fs';
import { nativeName, pathAt, typeAt } from '../linux/at.js';
import { DirectoryStack } from '../linux/directory-stack.js';
import { hasCode } from '../linux/libc.js';
import { DirectoryReader, type DirectoryName } from '../linux/read-directory.js';
import { freadxattr } from '../linux/xattr.js';
import { BOOKKEEPING_PREFIX, OPAQUE_MARKER, OVERLAY_OPAQUE, WHITEOUT_PREFIX } from './whiteouts.js';

const { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } = constants;

/**
 * How deletions stand in a tree: `aufs`, as files named `.wh.NAME`; `overlay`, as devices 0:0 and attributes; `plain`, not
 * at all, and every name means what it is.
 */
export type TreeForm = 'plain' | 'aufs' | 'overlay';

/** One name of a tree. */
export interface WalkedEntry {
  /** `whiteout`: `path` is deleted from what lies below. `opaque`: nothing below shows through in the directory `path`. */
  kind: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket' | 'whiteout' | 'opaque';
  /** relative to the root of the tree, which is empty; one character a byte (latin1) */
  path: string;
  /** how many directories lie between it and the root of the tree */
  depth: number;
  /** the open directory that it lies in, until the walk goes on; of the root, the root itself */
  directory: number;
  /** its name there, on disk, ending in NUL; of the root `.` */
  name: Buffer;
  /** of what lies on disk under that name; looked up when it is first asked for, so good until the walk goes on. Throws where it is gone */
  readonly stat: BigIntStats;
}

// prettier-ignore
const KINDS: Readonly<Record<number, WalkedEntry['kind']>> = {
  [S_IFREG]: 'file', [S_IFDIR]: 'directory', [S_IFLNK]: 'symlink', [S_IFCHR]: 'character', [S_IFBLK]: 'block', [S_IFIFO]: 'fifo',
};

/** A name that is still to come. */
interface Sibling {
  /** what it is sorted by: its name in an archive */
  key: string;
  /** its name on disk */
  name: string;
  /** the type bits of what lies there; undefined where the directory does not tell */
  type: number | undefined;
  /** undefined: whatever lies there under that name */
  kind: 'whiteout' | 'opaque' | undefined;
}

/**
 * The entries of the tree at `root`, itself first. An opaque marker comes right after its directory. What vanishes
 * meanwhile is left out. `skips` leaves out a path and what is in it. Blocks; a caller that takes its time ends it early
 * with `return()`, which a `for` loop does by itself.
 */
export function* walkTree(
  root: string,
  form: TreeForm,
  skips?: (path: string) => boolean,
): Generator<WalkedEntry, void, void> {
  for (const entry of walkSteps(root, form, skips)) if (entry !== undefined) yield entry;
}

/**
 * The same, and undefined at each directory that is left: to go up through 10,000 of them without an entry on the way takes
 * longer than a caller that must not block may wait.
 */
export function* walkSteps(
  root: string,
  form: TreeForm,
  skips: (path: string) => boolean = () => false,
): Generator<WalkedEntry | undefined, void, void> {
  const stack = new DirectoryStack(root);
  const reader = new DirectoryReader();
  try {
    const self = entryIn(stack.fd, { key: '', name: '.', type: S_IFDIR, kind: undefined }, '', 0);
    if (self === undefined) return;
    yield self;
    // A loop, not a recursion: a tree may be deeper than the call stack. Each directory on the way down with what is still to
    // come of it, the next one last. Only one path is kept: those of 10,000 directories one in another would be 100 MB.
    const levels = [siblings(stack.fd, form, reader)];
    let at = '';
    for (let coming = levels.at(-1); coming !== undefined; coming = levels.at(-1)) {
      const sibling = coming.pop();
      if (sibling === undefined) {
        levels.pop();
        if (levels.length > 0) stack.leave();
        at = at.slice(0, Math.max(at.lastIndexOf('/'), 0));
        yield undefined;
        continue;
      }
      const path = sibling.kind === 'opaque' ? at : childPath(at, nameOf(sibling));
      const entry = skips(path) ? undefined : entryIn(stack.fd, sibling, path, stack.depth);
      if (entry === undefined) continue;
      yield entry;
      if (entry.kind === 'directory' && enters(stack, entry.name)) {
        levels.push(siblings(stack.fd, form, reader));
        at = path;
      }
    }
  } finally {
    stack.close();
  }
}

/** The path of `name` in the directory `parent`. */
export function childPath(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

/** What the current directory holds, the next one last. */
function siblings(directory: number, form: TreeForm, reader: DirectoryReader): Sibling[] {
  const names = reader.read(directory);
  const found =
    form === 'overlay' ? overlayNames(directory, names) : form === 'aufs' ? aufsNames(names) : names.map(plain);
  // One character a byte, so this is the order of the bytes. The marker of a directory is about the directory itself.
  const isFirst = ({ kind }: Sibling): boolean => kind === 'opaque';
  return found.sort((one, other) =>
    isFirst(one) || isFirst(other) ? (isFirst(one) ? 1 : -1) : one.key < other.key ? 1 : -1,
  );
}

function plain({ name, type }: DirectoryName): Sibling {
  return { key: name, name, type, kind: undefined };
}

/** Tells what is a name from what is a deletion, and drops what aufs keeps for itself. */
function aufsNames(names: readonly DirectoryName[]): Sibling[] {
  return names.flatMap((each) => {
    const { name } = each;
    if (!name.startsWith(WHITEOUT_PREFIX)) return plain(each);
    if (name === OPAQUE_MARKER) return { ...plain(each), kind: 'opaque' };
    return name.startsWith(BOOKKEEPING_PREFIX) ? [] : { ...plain(each), kind: 'whiteout' };
  });
}

/** Finds the devices 0:0, which stand for deletions, and says whether the directory is opaque. */
function overlayNames(directory: number, names: readonly DirectoryName[]): Sibling[] {
  const found = names.map((each): Sibling => {
    const { name, type = S_IFCHR } = each;
    const isDeletion = type === S_IFCHR && isWhiteoutDevice(directory, name);
    return isDeletion ? { ...plain(each), key: WHITEOUT_PREFIX + name, kind: 'whiteout' } : plain(each);
  });
  if (freadxattr(directory, OVERLAY_OPAQUE)?.toString() === 'y') {
    found.push({ key: OPAQUE_MARKER, name: '.', type: S_IFDIR, kind: 'opaque' });
  }
  return found;
}

function isWhiteoutDevice(directory: number, name: string): boolean {
  const stat = lstatSync(pathAt(directory, nativeName(latin1(name))), { bigint: true, throwIfNoEntry: false });
  return stat?.isCharacterDevice() === true && stat.rdev === 0n;
}

/** The name in the tree: of a deletion, that of what is deleted. */
function nameOf({ key, kind }: Sibling): string {
  return kind === 'whiteout' ? key.slice(WHITEOUT_PREFIX.length) : key;
}

function entryIn(directory: number, sibling: Sibling, path: string, depth: number): WalkedEntry | undefined {
  const name = nativeName(latin1(sibling.name));
  const type = sibling.type ?? typeAt(directory, name);
  if (type === undefined) return undefined;
  let stat: BigIntStats | undefined;
  return {
    kind: sibling.kind ?? KINDS[type] ?? 'socket',
    path,
    depth,
    directory,
    name,
    get stat() {
      return (stat ??= lstatAs(type, pathAt(directory, name)));
    },
  };
}

function enters(stack: DirectoryStack, name: Buffer): boolean {
  try {
    stack.enter(name);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false; // gone meanwhile, or something else by now
    throw error;
  }
}

/** What became something else since is gone. */
function lstatAs(type: number, path: Buffer): BigIntStats {
  const stat = lstatSync(path, { bigint: true });
  if ((Number(stat.mode) & S_IFMT) === type) return stat;
  throw Object.assign(new Error(`lstat '${path.toString()}': it is another file by now`), { code: 'ENOENT' });
}

function latin1(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}
