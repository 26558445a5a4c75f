// Running the programs that set up networks: `ip` and `iptables`. What they complain about becomes the error's text.
//
// 2013: network.go, iptables, and the `ip` calls of March's bridge (exec.Command)

import { execFile } from 'node:child_process';
import { hasCode } from '../linux/libc.js';

/** How long one may take; they wait for each other's locks. */
const TIMEOUT_MS = 30_000;
/** How much one may print: the rules of a machine that has many. */
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
/** Where the administrator's programs are, also for a daemon that was started without them on its PATH. */
const ADMIN_PATH = '/usr/local/sbin:/usr/sbin:/sbin';

/** Runs a program with `input`. Resolves with what it printed; rejects with what it complained about. */
export function runTool(program: string, args: readonly string[], input = ''): Promise<string> {
  const env = { PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:${ADMIN_PATH}`, LC_ALL: 'C' };
  const options = { env, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_LIMIT_BYTES };
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(new Error(`Cannot run ${[program, ...args].join(' ')}: ${complaint(error, stderr)}`, { cause: error }));
    });
    child.stdin?.on('error', () => undefined); // it has ended already, and tells why
    child.stdin?.end(input);
  });
}

function complaint(error: Error, stderr: string): string {
  if (hasCode(error, 'ENOENT')) return 'it is not installed';
  const said = stderr.trim().replace(/\s*\n\s*/g, '; ');
  return said === '' && 'code' in error ? `it ended with ${String(error.code)}` : said;
}
