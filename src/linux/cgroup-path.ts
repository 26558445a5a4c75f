// Where a cgroup is, whose id alone is known: the kernel opens a file by its handle, and the handle of a cgroup is its id.
//
// 2013: none

import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { bind, hasCode } from './libc.js';
import { IS_LITTLE_ENDIAN, viewOf } from './netlink-attributes.js';

/** FILEID_KERNFS: the handle is the id of 64 bits. */
const KERNFS = 0xfe;
const ID_BYTES = 8;
/** struct file_handle: the length of the handle, its type, the handle. */
const HEADER_BYTES = 8;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

const openByHandle = bind('int open_by_handle_at(int mount, void *handle, int flags)');

/**
 * The path of a cgroup (v2), below `mount`, where they are mounted. Undefined where it has been removed, or where this machine
 * does not tell.
 */
export function cgroupPath(mount: string, id: bigint): string | undefined {
  const handle = Buffer.alloc(HEADER_BYTES + ID_BYTES);
  const view = viewOf(handle);
  view.setUint32(0, ID_BYTES, IS_LITTLE_ENDIAN);
  view.setUint32(4, KERNFS, IS_LITTLE_ENDIAN);
  view.setBigUint64(HEADER_BYTES, id, IS_LITTLE_ENDIAN);
  const folder = openSync(mount, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const facts = { path: mount, data: `cgroup ${id}` };
    const cgroup = openByHandle(facts, folder, handle, O_PATH | O_CLOEXEC);
    try {
      return readlinkSync(`/proc/self/fd/${cgroup}`);
    } finally {
      closeSync(cgroup);
    }
  } catch (error) {
    if (hasCode(error, 'ESTALE', 'EPERM', 'EOPNOTSUPP', 'EINVAL', 'ENOENT')) return undefined;
    throw error;
  } finally {
    closeSync(folder);
  }
}
