// What the daemons of a data directory have made on the machine for their network, in a file there: written before it is
// made, so that `--clean` finds all of it, and a later daemon the address that its bridge had.
//
// 2013: nothing

import { rm } from 'node:fs/promises';
import { writeFileAtomically } from '../util/atomic-file.js';
import type { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { goMarshalIndent } from '../util/go-json.js';
import { readRegularFile } from '../util/regular-file.js';
import { findAside, isPathTaken, setAside } from '../util/set-aside.js';
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
  const json = readJson(path);
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
  if (!isText(path, text)) await writeFileAtomically(path, text, MODE);
}

/** Takes the record away. */
export async function removeNetworkRecord(path: string): Promise<void> {
  await rm(path, { force: true });
}

/**
 * Sets a record aside that cannot be used, and tells `damage`. The bridge in use is found by its alias all the same, and
 * `--clean` finds it so.
 */
export async function checkNetworkRecord(path: string, damage: DamageReport): Promise<void> {
  const tell = (aside: string, what: string): void =>
    damage.add(`${aside} ${what}`, { isStillSo: () => isPathTaken(aside) });
  for (const aside of findAside(path)) tell(aside, 'was set aside earlier');
  try {
    const { Bridges } = parse(path);
    if (Bridges !== undefined && !Array.isArray(Bridges)) throw new Error('its bridges are no list');
  } catch (error) {
    tell(await setAside(path), `was ${path}, which cannot be used: ${errorMessage(error)}`);
  }
}

function readJson(path: string): Record<string, unknown> {
  try {
    return parse(path);
  } catch {
    return {}; // damaged, it tells nothing: `checkNetworkRecord` has told
  }
}

function parse(path: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readRegularFile(path) ?? '{}');
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error('it holds no JSON object');
  return value as Record<string, unknown>; // what JSON.parse makes of an object
}

function isText(path: string, text: string): boolean {
  try {
    return readRegularFile(path) === text;
  } catch {
    return false; // it is replaced
  }
}
