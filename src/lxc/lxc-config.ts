// The LXC configuration of one container: which template, and with which values.
//
// Written anew at each start, because it depends on the machine: the generation of LXC's keys, the kernel's capabilities,
// the version of cgroups.
//
// 2013: container.go, Container.generateLXCConfig; lxc_template.go

import { existsSync, readFileSync } from 'node:fs';
import { formatIpv4, networkRange, parseCidr } from '../network/ipv4.js';
import { readLxcTemplate } from '../util/program-files.js';
import { renderTemplate, type TemplateValues } from './template.js';

/** What of the network the program is given. In any case but `host` and `share` the namespace is its own, with loopback up. */
export type LxcNetwork =
  /** `eth0` in the container, one end of a pair of which the other is a port of the bridge. LXC makes both, and both end with the container. */
  | {
      type: 'veth';
      bridge: string;
      /** the name of the end outside, at most 15 characters; where an interface has it already, the start fails */
      hostInterface: string;
      /** as `02:42:ac:11:00:02` */
      mac: string;
      /** with the prefix length, as `172.17.0.2/16` */
      address: string;
      /** where the default route goes */
      gateway: string;
    }
  /** Nothing but loopback. */
  | { type: 'empty' }
  /** The namespace of lxc-start itself, which the program must not be able to change. */
  | { type: 'host' }
  /** That of a running process, by its pid. Needs the keys of LXC 2.1. */
  | { type: 'share'; pid: number };

/** A file of the container's own that is seen in place of one of the image. */
export interface OwnFile {
  /** absolute path on the host */
  source: string;
  /** path below the root of the container, without a leading slash; where nothing is there, nothing is mounted */
  target: string;
  isReadOnly: boolean;
}

/** What the configuration depends on, beside the machine. */
export interface LxcSettings {
  hostname: string;
  /** absolute path of the union mount */
  rootfs: string;
  /** `KEY=value`, in order */
  environment: readonly string[];
  /** in bytes; 0 for no limit */
  memoryLimitBytes: number;
  /** the peer terminal `/dev/pts/N`, for a container with a terminal */
  terminalPath: string | undefined;
  /** whom the program runs as */
  user: { uid: number; gid: number };
  network: LxcNetwork;
  files: readonly OwnFile[];
}

/** What the machine's LXC and kernel are. Read once, at the start of the daemon. */
export interface LxcMachine {
  /** LXC has the keys of 2.1 */
  hasNewKeys: boolean;
  /** cgroup v2 only */
  isUnifiedCgroup: boolean;
  /** the highest capability that the kernel knows */
  lastCapability: number;
  /** path of LXC's own init, or undefined where it is not installed */
  init: string | undefined;
  /** path of the list of system calls that are refused */
  seccompProfile: string;
}

/**
 * DIFFERS D15: `-t` of the original was three terminals, none of them controlling, without echo. Here it is one, under LXC's
 * own init, so that Ctrl-C and job control work.
 *
 * Where LXC's own init is seen inside a container with a terminal.
 */
export const INIT_INSIDE = '/dev/.tsdock-init';

/**
 * DIFFERS D34: with the capabilities of 2013 alone a container could read the files of the host by their handles.
 *
 * syslog, wake_alarm, block_suspend, audit_read, perfmon, bpf, checkpoint_restore: younger than LXC 0.8's list of names.
 */
const NEWER_CAPABILITIES = [34, 35, 36, 37, 38, 39, 40];

/** Of every interface that is made for a container, as in March 2013. */
const MTU = '1500';

/** A network of one or two addresses has none to spare for broadcasts. */
const LONGEST_WITH_BROADCAST = 30;

/** Where distributions put LXC's statically linked init. */
const INIT_PATHS = ['/usr/sbin', '/sbin', '/usr/libexec', '/usr/lib/lxc', '/usr/bin'].map(
  (dir) => `${dir}/init.lxc.static`,
);

/**
 * What the kernel and the file system say of this machine. `lxcVersion` as `lxc-start --version` prints it; `seccompProfile` is a
 * path, empty where nothing is to be started.
 */
export function readLxcMachine(lxcVersion: string, seccompProfile = ''): LxcMachine {
  const [major = 0, minor = 0] = lxcVersion.split('.').map((part) => Number.parseInt(part, 10));
  return {
    hasNewKeys: major > 2 || (major === 2 && minor >= 1),
    isUnifiedCgroup: existsSync('/sys/fs/cgroup/cgroup.controllers'),
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1')),
    init: INIT_PATHS.find((path) => existsSync(path)),
    seccompProfile,
  };
}

/** The text of `config.lxc`. */
export function lxcConfig(settings: LxcSettings, machine: LxcMachine): string {
  const template = readLxcTemplate(machine.hasNewKeys ? 'lxc-2.1.conf' : 'lxc-0.8.conf');
  const { hostname, rootfs, environment, memoryLimitBytes, terminalPath, user, network, files } = settings;
  if (network.type === 'share' && !machine.hasNewKeys)
    throw new Error('Cannot share the network of another container: this needs LXC 2.1 or later');
  return renderTemplate(template, {
    hostname,
    rootfs,
    mountRoot: mountField(rootfs),
    ...networkValues(network),
    fileSources: files.map(({ source }) => mountField(source)),
    fileTargets: files.map(({ target }) => mountField(target)),
    fileOptions: files.map(({ isReadOnly }) => (isReadOnly ? 'bind,ro,optional' : 'bind,optional')),
    seccompProfile: machine.seccompProfile,
    console: terminalPath ?? 'none',
    init: terminalPath === undefined ? undefined : machine.init,
    cgroup: machine.isUnifiedCgroup ? 'lxc.cgroup2' : 'lxc.cgroup',
    newerCapabilities: NEWER_CAPABILITIES.filter((number) => number <= machine.lastCapability).join(' '),
    uid: String(user.uid),
    gid: String(user.gid),
    environment,
    memoryLimitKey: machine.isUnifiedCgroup ? 'memory.max' : 'memory.limit_in_bytes',
    memoryLimit: memoryLimitBytes > 0 ? String(memoryLimitBytes) : undefined,
  });
}

/** The values of the network's lines. What a type has no use for is undefined, and its line left out. */
function networkValues(network: LxcNetwork): TemplateValues {
  const isVeth = network.type === 'veth';
  const isOwn = isVeth || network.type === 'empty';
  return {
    networkType: network.type === 'host' ? 'none' : isOwn ? network.type : undefined,
    networkFlags: isOwn ? 'up' : undefined,
    bridge: isVeth ? network.bridge : undefined,
    hostInterface: isVeth ? network.hostInterface : undefined,
    interface: isVeth ? 'eth0' : undefined,
    mac: isVeth ? network.mac : undefined,
    mtu: isVeth ? MTU : undefined,
    address: isVeth ? withBroadcast(network.address) : undefined,
    gateway: isVeth ? network.gateway : undefined,
    sharedNetwork: network.type === 'share' ? `/proc/${network.pid}/ns/net` : undefined,
    // DIFFERS D64: in one end of a veth pair it is a capability over the network at the other end, which is the host's.
    networkCapability: network.type === 'empty' ? undefined : 'net_admin',
    networkSettings: network.type === 'host' ? undefined : 'proc/sys/net',
    pingGroups: isOwn ? '0 2147483647' : undefined,
  };
}

/** With the broadcast address beside it: LXC works out a wrong one, 0.0.255.255 for 172.17.0.2/16. */
function withBroadcast(address: string): string {
  const cidr = parseCidr(address);
  if (cidr === undefined) throw new Error(`Cannot render an LXC configuration: address "${address}": not as a.b.c.d/n`);
  return cidr.prefixLength > LONGEST_WITH_BROADCAST ? address : `${address} ${formatIpv4(networkRange(cidr).last)}`;
}

/** A path as a field of a mount entry, whose fields end at a space; a backslash begins the octal number of a character. */
function mountField(path: string): string {
  return path.replaceAll('\\', '\\134').replaceAll(' ', '\\040');
}
