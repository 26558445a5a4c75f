// Whether a request over HTTP comes from a page of somebody else in a browser of somebody who may call.
//
// A browser sends what any page wants to whatever address the page names, as the user who runs it; what it adds to the
// request by itself tells who wanted it. `http.ts` asks here before it calls.
//
// The rule that must hold: what a browser would not say of a request that its user made, or that our own page made, is a
// refusal. A program that is no browser says nothing of this, and need not.
//
// 2013: none; dockerd obeyed every form post and image tag

import { isLoopback, isSameAddress, parseIpAddress } from '../util/ip-address.js';

/** What is looked at of a request. */
export interface BrowserRequest {
  /** of the request line: a path, or, for a proxy, a whole URL */
  target: string;
  method: string;
  /** each name in lower case, each with all of its values */
  headers: Readonly<Record<string, readonly string[] | undefined>>;
  /** the daemon's end of the connection */
  localAddress: string | undefined;
  localPort: number | undefined;
  isEncrypted: boolean;
}

/** The page that a browser may open without more ado: it changes nothing, and is how one gets to the rest. */
const ENTRANCE = /^\/web\/?$/;
/** What all that shows pages calls itself. */
const BROWSER = /^Mozilla\//i;
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/\\?#\s]+))(?::(\d{1,5}))?$/i;
/** How much of what was sent a refusal shows. */
const SHOWN_CHARACTERS = 100;

// DIFFERS D36: pages of others are refused.
/**
 * Why the request is refused, in one line; undefined for one that is not. `names` are the machine's own, beside `localhost` and
 * the addresses.
 */
export function foreignness(request: BrowserRequest, names: readonly string[]): string | undefined {
  const { headers, target } = request;
  const hosts = headers['host'] ?? [];
  const [, targetHost] = /^[a-z][a-z0-9+.-]*:\/\/([^/?]*)/i.exec(target) ?? [];
  const foreignHost = [...hosts, ...(targetHost === undefined ? [] : [targetHost])].find(
    (host) => !namesThisMachine(host, request, names),
  );
  if (foreignHost !== undefined) {
    return `Cannot answer for the host ${show(foreignHost)}: use 127.0.0.1:${request.localPort ?? ''}, or a name of this machine`;
  }
  if (hosts.length > 1) return 'Cannot answer a request with several Host headers';
  for (const name of ['origin', 'referer']) {
    const foreign = headers[name]?.find((url) => !isOwn(url, hosts[0], request.isEncrypted));
    if (foreign !== undefined) return `Cannot do what another page asks (its ${name} is ${show(foreign)})`;
  }
  const sites = headers['sec-fetch-site'] ?? [];
  const foreignSite = sites.find((site) => site !== 'same-origin' && site !== 'none');
  if (foreignSite !== undefined) return `Cannot do what another page asks (sec-fetch-site is ${show(foreignSite)})`;
  if (headers['upgrade']?.some((value) => /websocket/i.test(value))) return 'Cannot speak WebSocket';
  if (isUnproven(request))
    return 'Cannot tell which page asks: begin at /web, or call with a program that is no browser';
  return undefined;
}

/**
 * A browser that says nothing of where the request comes from: an old one, or one that thinks our address not worth it (to
 * all but loopback it sends no Sec-Fetch-Site), on behalf of an image tag of a page that wants no Referer sent.
 */
function isUnproven({ headers, method, target }: BrowserRequest): boolean {
  if (!headers['user-agent']?.some((agent) => BROWSER.test(agent))) return false;
  const isProven = ['origin', 'referer', 'sec-fetch-site'].some((name) => (headers[name] ?? []).length > 0);
  return !isProven && !(method === 'GET' && ENTRANCE.test(target));
}

/** Whether a Host is `localhost`, one of `names`, a loopback address, or the one that the caller connected to; a port must be ours. */
function namesThisMachine(
  host: string,
  { localAddress, localPort }: BrowserRequest,
  names: readonly string[],
): boolean {
  const [, bracketed, plain = '', port] = AUTHORITY.exec(host) ?? [];
  if (bracketed === undefined && plain === '') return false;
  if (port !== undefined && Number(port) !== localPort) return false;
  const address = parseIpAddress(bracketed ?? plain);
  if (address === undefined) {
    return ['localhost', ...names].some((name) => name.toLowerCase() === plain.toLowerCase());
  }
  const own = parseIpAddress(localAddress ?? '');
  return isLoopback(address) || (own !== undefined && isSameAddress({ ...own, zone: '' }, address));
}

/** Whether a URL, as in Origin and Referer, is of the server that the request names. */
function isOwn(url: string, host: string | undefined, isEncrypted: boolean): boolean {
  if (host === undefined || !URL.canParse(url)) return false;
  return new URL(url).origin === new URL(`${isEncrypted ? 'https' : 'http'}://${host}`).origin;
}

function show(text: string): string {
  return JSON.stringify(text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`);
}
