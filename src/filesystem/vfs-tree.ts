// What the vfs driver does with whole trees, in blocking calls: the copy of layers and rw, and, later, what has changed
// in it. The tree worker runs it.
//
// A name is unchanged when it is the inode that the copy began with and nobody has touched that; see `vfs-manifest.ts`.

import type { BigIntStats } from 'node:fs';
import type { Unpacker } from '../archive/unpack.js';
import { walkTree, type WalkedEntry } from '../archive/walk-tree.js';
import { hasCode } from '../linux/libc.js';
import { addTree, withUnpacker } from './copy-tree.js';
import { isInLayers } from './same-file.js';
import { readManifest, record, writeManifest, type Recorded } from './vfs-manifest.js';

/** How deletions stand in rw: as in overlay's, since a container may have files whose names aufs uses for that. */
export const FORM = 'overlay' as const;

/** The folders of a copy, absolute; the layers top first. */
export interface VfsTree {
  layers: readonly string[];
  rootfs: string;
  manifest: string;
}

/** What a look at the copy brings to light. Paths are latin1. */
interface Found {
  /** what has changed, and every directory on the way to it */
  changed: Set<string>;
  /** directories that took the place of one of the layers */
  opaque: Set<string>;
  /** the deleted names, by the directory that they were in */
  deleted: Map<string, string[]>;
}

/** Makes the copy: the layers from the bottom, a record of that, then rw. */
export function makeUnion({ layers, rw, rootfs, manifest }: VfsTree & { rw: string }): void {
  withUnpacker(rootfs, 'apply', 'named', (unpacker) => {
    for (const layer of [...layers].reverse()) addLayer(layer, unpacker);
  });
  writeManifest(rootfs, manifest);
  const tree = { root: rw, form: FORM, deletionsAsDevices: true };
  withUnpacker(rootfs, 'apply', 'devices', (unpacker) => {
    // An opaque directory is another one than that of the layers, and has to stay one: it is made anew.
    addTree(tree, unpacker, opaqueAsDeleted(rw));
    addTree(tree, unpacker);
  });
}

/** Puts into `target`, as in rw, what the copy has that the layers have not, and the reverse. */
export function foldUnion({ layers, rootfs, manifest, target }: VfsTree & { target: string }): void {
  const found = findChanges(rootfs, readManifest(manifest), layers);
  const tree = { root: rootfs, form: 'plain', deletionsAsDevices: true } as const;
  withUnpacker(target, FORM, 'devices', (unpacker) => addTree(tree, unpacker, changedEntries(rootfs, found)));
}

// A layer may have a name and its deletion side by side: the deletion is about the layers below, so those come first, with
// the directories that they are in.
function addLayer(layer: string, unpacker: Unpacker): void {
  const options = { root: layer, form: 'aufs' } as const;
  if (!hasDeletions(layer)) return addTree(options, unpacker);
  addTree(
    options,
    unpacker,
    only(layer, (entry) => isDeletion(entry) || entry.kind === 'directory'),
  );
  addTree(
    options,
    unpacker,
    only(layer, (entry) => !isDeletion(entry)),
  );
}

function hasDeletions(layer: string): boolean {
  for (const entry of walkTree(layer, 'aufs')) if (isDeletion(entry)) return true;
  return false;
}

function* only(layer: string, isWanted: (entry: WalkedEntry) => boolean): Generator<WalkedEntry> {
  for (const entry of walkTree(layer, 'aufs')) if (isWanted(entry)) yield entry;
}

function isDeletion({ kind }: WalkedEntry): boolean {
  return kind === 'whiteout' || kind === 'opaque';
}

function* opaqueAsDeleted(rw: string): Generator<WalkedEntry> {
  for (const entry of walkTree(rw, FORM)) {
    if (entry.kind === 'opaque' && entry.path !== '') yield mark(entry, 'whiteout', entry.path);
  }
}

function findChanges(rootfs: string, manifest: ReadonlyMap<string, Recorded>, layers: readonly string[]): Found {
  const found: Found = { changed: new Set(['']), opaque: new Set(), deleted: new Map() };
  const present = new Set<string>();
  const fresh = new Set<string>(); // directories that are not those of the layers, and all below them
  for (const entry of walkTree(rootfs, 'plain')) {
    const stat = statUnlessGone(entry);
    if (stat === undefined) continue;
    if (stat.isCharacterDevice() && stat.rdev === 0n) continue; // overlay lets nobody make one
    const now = record(stat);
    const { path } = entry;
    present.add(path);
    const parent = parentOf(path);
    const before = manifest.get(path);
    const isFresh = fresh.has(parent) || before === undefined || before.identity !== now.identity;
    if (isFresh || !isUntouched(entry, before, now, layers)) addWithAncestors(found.changed, path);
    if (entry.kind !== 'directory' || !isFresh) continue;
    fresh.add(path);
    if (before?.isDirectory === true && !fresh.has(parent)) found.opaque.add(path);
  }
  for (const path of manifest.keys()) {
    const parent = parentOf(path);
    if (present.has(path) || fresh.has(parent) || !present.has(parent)) continue;
    if (manifest.get(parent)?.isDirectory !== true) continue;
    const deleted = found.deleted.get(parent);
    if (deleted === undefined) found.deleted.set(parent, [path]);
    else deleted.push(path);
    addWithAncestors(found.changed, parent);
  }
  return found;
}

function isUntouched(entry: WalkedEntry, before: Recorded, now: Recorded, layers: readonly string[]): boolean {
  if (before.changedNs === now.changedNs) return true;
  // To take one of several names away touches the file as well. Nothing else of it may have changed then.
  return entry.kind === 'file' && now.links < before.links && now.looks === before.looks && isInLayers(entry, layers);
}

/** The changed names of the copy, and the marks for what is gone from it. */
function* changedEntries(rootfs: string, { changed, opaque, deleted }: Found): Generator<WalkedEntry> {
  for (const entry of walkTree(rootfs, 'plain', (path) => !changed.has(path))) {
    yield entry;
    if (entry.kind !== 'directory') continue;
    if (opaque.has(entry.path)) yield mark(entry, 'opaque', entry.path);
    for (const path of deleted.get(entry.path) ?? []) yield mark(entry, 'whiteout', path);
  }
}

// Not a spread, which would look the entry up: it may be gone.
function mark(entry: WalkedEntry, kind: 'whiteout' | 'opaque', path: string): WalkedEntry {
  const { depth, directory, name } = entry;
  return { kind, path, depth, directory, name, get stat() { return entry.stat; } }; // prettier-ignore
}

// The container may be running.
function statUnlessGone(entry: WalkedEntry): BigIntStats | undefined {
  try {
    return entry.stat;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function addWithAncestors(paths: Set<string>, path: string): void {
  for (let at = path; !paths.has(at); at = parentOf(at)) paths.add(at);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
