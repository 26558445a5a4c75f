// The list of system calls that no container is given, where lxc-start can read it: a file beside the containers. The program
// itself may lie where no file is, in the single executable, or be replaced while containers are there.
//
// The daemon places it at its start, before anything is started; `lxc-config.ts` names it in each config.lxc.
//
// 2013: none

import { join } from 'node:path';
import { writeFileAtomically } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { readLxcTemplate } from '../util/program-files.js';
import { readRegularFile } from '../util/regular-file.js';
import { setAside } from '../util/set-aside.js';

/**
 * The name of the file in the data directory.
 *
 * DIFFERS D61: what no capability stands in front of is refused: namespaces of users, in which every program could mount, the
 * keys of the host's root, settings of the machine in /proc, and consoles of the host that an image brings a node of.
 */
export const SECCOMP_PROFILE = 'lxc.seccomp';

const TEMPLATE = 'lxc-2.1.seccomp';

/** Writes the profile into `folder`, unless it is there as it should be; what is no file is set aside, and told. Resolves with its path. */
export async function placeSeccompProfile(folder: string, log: (line: string) => void): Promise<string> {
  const path = join(folder, SECCOMP_PROFILE);
  const wanted = readLxcTemplate(TEMPLATE);
  let found: string | undefined;
  try {
    found = readRegularFile(path);
  } catch (error) {
    log(`${await setAside(path)} was ${path}, which cannot be used: ${errorMessage(error)}`);
  }
  if (found !== wanted) await writeFileAtomically(path, wanted, 0o644);
  return path;
}
