// Counts the calls of iptables: note-call.sh stands under each of its names, first on the PATH of the daemon.

import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Shell scripts stay where the sources are. */
const NOTE_CALL = fileURLToPath(new URL('../../../test/bench/note-call.sh', import.meta.url));
const PATH = process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin';

/** See the head of the file. Owns a folder, which goes at the end of this process. */
export class IptablesCalls {
  readonly #folder = mkdtempSync(join(tmpdir(), 'tsdock-bench-iptables-'));
  readonly #record = join(this.#folder, 'calls');
  /** for the daemon whose calls are counted */
  readonly path = `${this.#folder}:${PATH}`;

  constructor() {
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }));
    writeFileSync(this.#record, '');
    for (const program of ['iptables', 'iptables-nft', 'iptables-legacy']) {
      for (const name of [program, `${program}-save`, `${program}-restore`]) {
        const isThere = PATH.split(':').some((folder) => existsSync(join(folder, name)));
        if (isThere) symlinkSync(NOTE_CALL, join(this.#folder, name));
      }
    }
  }

  /** How many there were while that was done. */
  async during(action: () => Promise<unknown>): Promise<number> {
    const before = this.#count();
    await action();
    return this.#count() - before;
  }

  #count(): number {
    return readFileSync(this.#record, 'utf8').split('\n').length;
  }
}
