// What is mounted where, as /proc/self/mountinfo tells it.
//
// Paths in it are those of the moment, without symbolic links, as this process sees them.

import { readFileSync } from 'node:fs';

/** One mount. */
export interface MountInfo {
  /** which folder of the file system is seen there */
  root: string;
  /** where it is mounted */
  path: string;
  /** the type of the file system */
  type: string;
  /** the options of the file system, which all its mounts share */
  options: readonly string[];
}

/** All mounts that this process sees. */
export function readMounts(): MountInfo[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** The mounts in the text of a mountinfo. */
export function parseMountinfo(text: string): MountInfo[] {
  return text.split('\n').flatMap((line) => {
    // Fields without a name stand between the options of the mount and the dash: any number of them.
    const [mount = '', fileSystem = ''] = line.split(' - ');
    const [, , , root, path] = mount.split(' ');
    const [type = '', , options = ''] = fileSystem.split(' ');
    if (root === undefined || path === undefined) return [];
    return [{ root: unescape(root), path: unescape(path), type, options: options.split(',') }];
  });
}

/** Spaces and the like are written as `\040`. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}
