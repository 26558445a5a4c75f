// Certificates for tests of TLS, made by openssl in a folder of their own.

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a certificate is to say. */
export interface Wanted {
  /** as openssl writes it */
  subjectAltName?: string;
  usage?: 'serverAuth' | 'clientAuth';
  isExpired?: boolean;
}

// Far from now: the clock of a machine may be set in a test.
const START = '20200101000000Z';
const END = '20400101000000Z';
const PAST_END = '20210101000000Z';

/** The certificate and the key of an authority, and what it signs: each a folder with ca.pem, cert.pem and key.pem. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'tsdock-test-tls-'));

  constructor() {
    chmodSync(this.folder, 0o755); // for users other than root
    writeFileSync(this.file('index.txt'), '');
    writeFileSync(this.file('serial'), '01\n');
    const files = `database=${this.file('index.txt')}\nserial=${this.file('serial')}\nnew_certs_dir=${this.folder}`;
    const settings = `[ca]\ndefault_ca=own\n[own]\n${files}\nunique_subject=no\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`;
    writeFileSync(this.file('settings'), settings);
    const lines = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
    this.#make(this.folder, 'ca', 'test authority', lines, END, '-selfsign');
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Signs a certificate; its folder, as DOCKER_CERT_PATH takes it. */
  sign(name: string, { subjectAltName, usage, isExpired = false }: Wanted = {}): string {
    const folder = this.file(name);
    mkdirSync(folder);
    const lines = [
      ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
      ...(subjectAltName === undefined ? [] : [`subjectAltName=${subjectAltName}`]),
    ];
    this.#make(folder, 'cert', name, lines, isExpired ? PAST_END : END, '-cert', this.file('ca.pem'));
    copyFileSync(this.file('ca.pem'), join(folder, 'ca.pem'));
    return folder;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A new key, and its certificate. `signer` says by whom; the key of the authority signs. */
  #make(folder: string, file: string, name: string, lines: string[], end: string, ...signer: string[]): void {
    const isAuthority = folder === this.folder;
    const key = join(folder, isAuthority ? 'ca-key.pem' : 'key.pem');
    const [request, extensions] = [join(folder, 'request'), join(folder, 'extensions')];
    writeFileSync(extensions, `${lines.join('\n')}\n`);
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-new', ...kind, '-keyout', key, '-out', request, '-subj', `/CN=${name}`);
    const settings = ['-config', this.file('settings'), '-keyfile', this.file('ca-key.pem'), '-extfile', extensions];
    const dates = ['-startdate', START, '-enddate', end];
    const files = ['-in', request, '-out', join(folder, `${file}.pem`)];
    openssl('ca', '-batch', '-notext', ...settings, ...dates, ...files, ...signer);
  }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
