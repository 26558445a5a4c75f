// The list of system calls that no container is given, where lxc-start can read it: a file beside the containers. The program
// itself may lie where no file is, in the single executable, or be replaced while containers are there.
//
// The daemon places it at its start, before anything is started; `lxc-config.ts` names it in each config.lxc.
//
// 2013: none

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../util/atomic-file.js';
import { readLxcTemplate } from '../util/program-files.js';

/**
 * The name of the file in the data directory.
 *
 * DIFFERS D61: what no capability stands in front of is refused: namespaces of users, in which every program could mount, the
 * keys of the host's root, settings of the machine in /proc, and consoles of the host that an image brings a node of.
 */
export const SECCOMP_PROFILE = 'lxc.seccomp';

const TEMPLATE = 'lxc-2.1.seccomp';

/** Writes the profile into `folder`, unless it is there as it should be. Resolves with its path. */
export async function placeSeccompProfile(folder: string): Promise<string> {
  const path = join(folder, SECCOMP_PROFILE);
  const wanted = await readLxcTemplate(TEMPLATE);
  const found = await readFile(path, 'utf8').catch(() => undefined); // whatever it is, it is put right
  if (found !== wanted) await writeFileAtomically(path, wanted, 0o644);
  return path;
}
