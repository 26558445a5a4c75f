// What is left of a container's cgroups when its lxc-start did not end by itself: LXC removes them last, and who kills it
// keeps it from that.

import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../linux/libc.js';

const CGROUP_ROOT = '/sys/fs/cgroup';

/** Removes the cgroups that LXC made for the container `id`, as far as they are there. They must be empty of processes. */
export async function removeCgroups(id: string): Promise<void> {
  // cgroup v2 has one tree at the root; v1 has one in each folder below it.
  const entries = await readdir(CGROUP_ROOT, { withFileTypes: true });
  const trees = [
    CGROUP_ROOT,
    ...entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(CGROUP_ROOT, name)),
  ];
  for (const tree of trees) {
    for (const name of [`lxc.payload.${id}`, `lxc.monitor.${id}`]) await removeTree(join(tree, name));
  }
}

/** A cgroup can be removed only without children, and what looks like files in it goes with it. */
async function removeTree(cgroup: string): Promise<void> {
  try {
    await rmdir(cgroup);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    if (!hasCode(error, 'EBUSY', 'ENOTEMPTY')) throw error;
    const children = (await readdir(cgroup, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    for (const { name } of children) await removeTree(join(cgroup, name));
    await rmdir(cgroup);
  }
}
