// The LXC configuration of one container: which template, and with which values.
//
// Written anew at each start, because it depends on the machine: the generation of LXC's keys, the kernel's capabilities,
// the version of cgroups.
//
// 2013: container.go, Container.generateLXCConfig; lxc_template.go

import { readFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { LOOPBACK_ONLY } from '../network/loopback-only.js';
import { renderTemplate } from './template.js';

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
}

/**
 * DIFFERS D15: `-t` of the original was three terminals, none of them controlling, without echo. Here it is one, under LXC's
 * own init, so that Ctrl-C and job control work.
 *
 * Where LXC's own init is seen inside a container with a terminal.
 */
export const INIT_INSIDE = '/dev/.tsdock-init';

/** syslog, wake_alarm, block_suspend, audit_read, perfmon, bpf, checkpoint_restore: younger than LXC 0.8's list of names. */
const NEWER_CAPABILITIES = [34, 35, 36, 37, 38, 39, 40];

/** Where distributions put LXC's statically linked init. */
const INIT_PATHS = ['/usr/sbin', '/sbin', '/usr/libexec', '/usr/lib/lxc', '/usr/bin'].map(
  (dir) => `${dir}/init.lxc.static`,
);

/** The templates lie beside `dist/` and `src/`: three levels up from the compiled file. */
const TEMPLATES = new URL('../../../lxc-templates/', import.meta.url);

/** What the kernel and the file system say of this machine. `lxcVersion` as `lxc-start --version` prints it. */
export function readLxcMachine(lxcVersion: string): LxcMachine {
  const [major = 0, minor = 0] = lxcVersion.split('.').map((part) => Number.parseInt(part, 10));
  return {
    hasNewKeys: major > 2 || (major === 2 && minor >= 1),
    isUnifiedCgroup: existsSync('/sys/fs/cgroup/cgroup.controllers'),
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1')),
    init: INIT_PATHS.find((path) => existsSync(path)),
  };
}

/** The text of `config.lxc`. */
export async function lxcConfig(settings: LxcSettings, machine: LxcMachine): Promise<string> {
  const template = await readFile(new URL(machine.hasNewKeys ? 'lxc-2.1.conf' : 'lxc-0.8.conf', TEMPLATES), 'utf8');
  const { hostname, rootfs, environment, memoryLimitBytes, terminalPath } = settings;
  return renderTemplate(template, {
    hostname,
    rootfs,
    mountRoot: rootfs.replaceAll(' ', '\\040'),
    networkType: LOOPBACK_ONLY,
    console: terminalPath ?? 'none',
    init: terminalPath === undefined ? undefined : machine.init,
    cgroup: machine.isUnifiedCgroup ? 'lxc.cgroup2' : 'lxc.cgroup',
    newerCapabilities: NEWER_CAPABILITIES.filter((number) => number <= machine.lastCapability).join(' '),
    environment,
    memoryLimitKey: machine.isUnifiedCgroup ? 'memory.max' : 'memory.limit_in_bytes',
    memoryLimit: memoryLimitBytes > 0 ? String(memoryLimitBytes) : undefined,
  });
}
