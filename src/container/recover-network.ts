// The network of a container that an earlier daemon started and that runs: from the copy in its folder, and where that is
// damaged from what LXC was told. Its address must not be given to another one.
//
// 2013: none; the next daemon knew nothing of addresses in use

import { isBridgeName } from '../network/bridge.js';
import { parseCidr, parseIpv4 } from '../network/ipv4.js';
import { interfaceFromJSON, type NetworkInterface } from '../network/network-interface.js';
import type { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { setAside } from '../util/set-aside.js';
import { tell } from './container-folder.js';
import { readJsonObject } from './container-file.js';

/** The interface that the two files tell of; undefined for none. What cannot be read is set aside, and `damage` told. */
export async function readNetwork(
  copyPath: string,
  lxcConfigPath: string,
  damage: DamageReport,
): Promise<NetworkInterface | undefined> {
  try {
    const json = readJsonObject(copyPath);
    return json === undefined ? undefined : interfaceFromJSON(json);
  } catch (error) {
    const aside = await setAside(copyPath);
    const found = readLxcNetwork(lxcConfigPath);
    const outcome = found === undefined ? 'its address is not known' : 'its ports are not published any more';
    tell(damage, aside, `was ${copyPath}, which cannot be used: ${errorMessage(error)}; ${outcome}`);
    return found;
  }
}

/** What LXC was told of the interface; undefined where that cannot be read either. */
function readLxcNetwork(path: string): NetworkInterface | undefined {
  let text: string;
  try {
    text = readRegularFile(path) ?? '';
  } catch {
    return undefined; // the copy has told of damage already
  }
  const value = (key: string): string =>
    new RegExp(`^lxc\\.net(?:work)?\\.(?:0\\.)?${key} *= *(\\S+)`, 'm').exec(text)?.[1] ?? '';
  const bridge = value('link');
  const address = parseCidr(value('ipv4\\.address') || value('ipv4'));
  const gateway = parseIpv4(value('ipv4\\.gateway'));
  if (!isBridgeName(bridge) || address === undefined || gateway === undefined) return undefined;
  return { bridge, address, gateway, ports: [] };
}
