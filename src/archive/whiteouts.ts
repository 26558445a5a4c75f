// How deletions are written: the names of aufs, which layers at rest and archives use everywhere, and overlay's own way.
//
// 2013: filesystem.go, Filesystem.Changes, and what aufs keeps in a branch

import { ArchiveError } from './archive-error.js';

/** Before the name of what is deleted. */
export const WHITEOUT_PREFIX = '.wh.';
/** Before the names that aufs keeps for itself. */
export const BOOKKEEPING_PREFIX = '.wh..wh.';
/** The file that makes its directory opaque: nothing of the layers below shows through. */
export const OPAQUE_MARKER = '.wh..wh..opq';
/** The attribute that makes a directory opaque to overlay, with the value `y`. A whiteout is a character device 0:0 there. */
export const OVERLAY_OPAQUE = 'trusted.overlay.opaque';
/** What begins so is overlay's own business: no layer and no archive may carry it, as it steers the mount. */
export const OVERLAY_XATTR_PREFIX = 'trusted.overlay.';

/** What a name means where whiteouts are carried out; `dropped` is what aufs keeps for itself. */
export type Deletion = { kind: 'whiteout' | 'opaque'; path: string } | { kind: 'dropped' };

/**
 * What the name `path` (relative, latin1) deletes; undefined where it is a name like any other. What is in a folder of such a name
 * is dropped, unless `hasRealNames`: then names of folders mean what they are.
 */
export function deletionOf(path: string, hasRealNames = false): Deletion | undefined {
  if (!path.includes(WHITEOUT_PREFIX)) return undefined; // most names, some of them very long
  const slash = path.lastIndexOf('/');
  const parent = path.slice(0, Math.max(slash, 0));
  const name = path.slice(slash + 1);
  if (!hasRealNames && `/${parent}`.includes(`/${WHITEOUT_PREFIX}`)) return { kind: 'dropped' };
  if (!name.startsWith(WHITEOUT_PREFIX)) return undefined;
  if (name === OPAQUE_MARKER) return { kind: 'opaque', path: parent };
  if (name.startsWith(BOOKKEEPING_PREFIX)) return { kind: 'dropped' };
  const deleted = name.slice(WHITEOUT_PREFIX.length);
  return { kind: 'whiteout', path: parent === '' ? deleted : `${parent}/${deleted}` };
}

/** Throws where a name on the way `path` (relative, latin1) deletes no name: `..` would be the parent, which is not the archive's. */
export function refuseDeletionOfNothing(path: string): void {
  if (!path.includes(WHITEOUT_PREFIX)) return;
  const deleted = /(?:^|\/)\.wh\.(\.{0,2})(?:\/|$)/.exec(path)?.[1];
  if (deleted !== undefined) throw new ArchiveError(`a deletion of ${JSON.stringify(deleted)}`);
}
