// Whose network a container has: what `run --net` says.
//
// 2013: nothing; every container of March was on the bridge

/** See the head of the file. */
export type NetworkMode =
  /** an interface on the daemon's bridge; nothing but loopback where the daemon has none, unless it was `isAsked` for */
  | { type: 'bridge'; isAsked: boolean }
  /** nothing but loopback */
  | { type: 'none' }
  /** that of the host */
  | { type: 'host' }
  /** that of another container, by its id */
  | { type: 'container'; id: string };

/** What a container has whose user has not said anything. */
export const DEFAULT_MODE: NetworkMode = { type: 'bridge', isAsked: false };

/** The mode of a text: `bridge`, `none`, `host`, `container:ID`, or empty. Throws for any other. */
export function parseNetworkMode(text: string): NetworkMode {
  const [, id] = /^container:([0-9A-Za-z_-]+)$/.exec(text) ?? [];
  if (id !== undefined) return { type: 'container', id };
  if (text === '') return DEFAULT_MODE;
  if (text === 'bridge') return { type: text, isAsked: true };
  if (text === 'none' || text === 'host') return { type: text };
  throw new Error(`Invalid network mode: ${text} (expected bridge, none, host or container:ID)`);
}

/** The text that `parseNetworkMode` makes the same of. */
export function formatNetworkMode(mode: NetworkMode): string {
  if (mode.type === 'container') return `container:${mode.id}`;
  return mode.type === 'bridge' && !mode.isAsked ? '' : mode.type;
}
