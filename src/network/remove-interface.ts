// Taking away a container's interface that outlived its run: where lxc-start was killed and another container shares the
// network, nobody else does it. Its address could be given again while it still answers, and its name be taken at the
// container's next start.
//
// 2013: none

import { linkIndex } from './links.js';
import { runTool } from './run-tool.js';

/** Takes the interface away where it is there. To look costs nothing; `ip` is called only in the rare case. */
export async function removeInterface(name: string): Promise<void> {
  if (linkIndex(name) === undefined) return;
  await runTool('ip', ['link', 'delete', 'dev', name]).catch((error: unknown) => {
    if (linkIndex(name) !== undefined) throw error; // else it went by itself meanwhile
  });
}
