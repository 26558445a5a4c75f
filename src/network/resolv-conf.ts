// The servers that a container resolves names with: those of the host, as far as they can be reached from inside.
//
// A server on the host's loopback interface (systemd-resolved, dnsmasq, unbound) is another one inside, where nothing
// answers; and the bridge carries IPv4 only. Those are taken out. When none is left, those that systemd-resolved asks
// itself take their place, and where these are not known either, public ones.
//
// 2013: lxc_template.go (the host's /etc/resolv.conf, as it was, mounted over the container's)

import { readFileSync } from 'node:fs';
import { hasCode } from '../linux/libc.js';
import { errorMessage } from '../util/errors.js';

const HOST_PATH = '/etc/resolv.conf';
/** Where systemd-resolved keeps the servers that it asks itself. */
const UPSTREAM_PATH = '/run/systemd/resolve/resolv.conf';
/** Google's, which Docker takes, too. */
const PUBLIC_SERVERS: readonly string[] = ['8.8.8.8', '8.8.4.4'];
/** As the C library reads the line: the word stands at its beginning. */
const NAMESERVER = /^nameserver[ \t]+(\S+)/;

/** What the host resolves names with, as text. */
export interface HostResolvConf {
  hostText: string;
  /** of systemd-resolved; read only where the host's own file names no server that a container can reach */
  upstreamText: string | undefined;
}

/** What a container resolves names with. */
export interface ContainerResolvConf {
  text: string;
  /** the host's servers that are not in it, for the log */
  replaced: string[];
  /** whether it names public servers because no other is known */
  usedFallback: boolean;
}

/** Reads the host's file. A missing one is empty. */
export function readResolvConf(hostPath = HOST_PATH, upstreamPath = UPSTREAM_PATH): HostResolvConf {
  const hostText = readIfThere(hostPath) ?? '';
  const isEnough = serversOf(hostText).some(isReachable);
  return { hostText, upstreamText: isEnough ? undefined : readIfThere(upstreamPath) };
}

/** What the host's file becomes in a container. What it says beside its servers stays. */
export function containerResolvConf(hostText: string, upstreamText: string | undefined): ContainerResolvConf {
  const hostServers = serversOf(hostText);
  const replaced = hostServers.filter((server) => !isReachable(server));
  const kept = hostText.split('\n').filter((line) => serversOf(line).every(isReachable));
  if (replaced.length < hostServers.length) return { text: kept.join('\n'), replaced, usedFallback: false };
  const upstream = serversOf(upstreamText ?? '').filter(isReachable);
  const usedFallback = upstream.length === 0;
  const servers = (usedFallback ? PUBLIC_SERVERS : upstream).map((server) => `nameserver ${server}`);
  const lines = [...kept.filter((line) => line !== ''), ...servers];
  return { text: lines.map((line) => `${line}\n`).join(''), replaced, usedFallback };
}

function serversOf(text: string): string[] {
  return text.split('\n').flatMap((line) => NAMESERVER.exec(line)?.[1] ?? []);
}

/** Whether packets from a container's own IPv4 address can get to the server. 0.0.0.0 is loopback, too, to who connects to it. */
function isReachable(server: string): boolean {
  return !/^127\.|^0\.0\.0\.0$|:/.test(server);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new Error(`Cannot read "${path}": ${errorMessage(error)}`, { cause: error });
  }
}
