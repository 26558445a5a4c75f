// What the daemons of a data directory have made on the machine for their network, in a file there: written before it is
// made, so that `--clean` finds all of it, and a later daemon the address that its bridge had.
//
// 2013: nothing

import { readFile, rm } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import { writeFileAtomically } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshalIndent } from '../util/go-json.js';
import { isBridgeName } from './bridge.js';
import { formatCidr, parseCidr, type Cidr } from './ipv4.js';

const MODE = 0o600;

/** A bridge that a daemon of this data directory has worked with. */
export interface BridgeRecord {
  name: string;
  address: Cidr | undefined;
}

/** See the head of the file. */
export interface NetworkRecord {
  bridges: BridgeRecord[];
  /** IPv4 forwarding was off before */
  hasEnabledForwarding: boolean;
}

/** Reads the record; an empty one where there is none, or none that can be read. */
export async function readNetworkRecord(path: string): Promise<NetworkRecord> {
  const json = await readJson(path);
  const list = Array.isArray(json['Bridges']) ? (json['Bridges'] as unknown[]) : [];
  const bridges = list.flatMap((item) => {
    const { Name: name, Address: address } = Object(item) as Record<string, unknown>;
    return typeof name === 'string' && isBridgeName(name) ? [{ name, address: parseCidr(String(address)) }] : [];
  });
  return { bridges, hasEnabledForwarding: json['EnabledForwarding'] === true };
}

/** Replaces the record, where it is another one: so a full disk keeps no daemon from the bridge that it had. */
export async function writeNetworkRecord(path: string, record: NetworkRecord): Promise<void> {
  const { bridges, hasEnabledForwarding } = record;
  const list = bridges.map(({ name, address }) => ({
    Name: name,
    Address: address === undefined ? '' : formatCidr(address),
  }));
  const json = { Bridges: list, EnabledForwarding: hasEnabledForwarding };
  const text = `${goMarshalIndent(json)}\n`;
  if ((await readIfThere(path)) !== text) await writeFileAtomically(path, text, MODE);
}

/** Takes the record away. */
export async function removeNetworkRecord(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  try {
    return Object(JSON.parse((await readIfThere(path)) ?? '{}')) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) return {}; // damaged, it tells nothing; the bridge in use is found by its alias
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new Error(`Cannot read ${path}: ${errorMessage(error)}`, { cause: error });
  }
}
