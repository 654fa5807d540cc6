import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its private key, as PEM text and as files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A certificate authority for tests. Its files live in a temporary folder, which is removed when the process exits. */
export class CertificateAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  /** The authority's own, self-signed certificate. */
  readonly ca: Certificate;

  constructor(name = 'test authority') {
    folders.push(this.folder);
    const { certFile } = this.#filesOf('ca');
    this.#createKey('ca', ['-x509', '-days', '2', '-subj', `/CN=${name}`, '-out', certFile]);
    this.ca = this.#read('ca');
  }

  /** Signs a certificate for `name`. A negative number of `days` makes one that has expired. */
  issue(name: string, { days = 2, san = 'IP:127.0.0.1,DNS:localhost' } = {}): Certificate {
    const request = join(this.folder, `${name}.csr`);
    this.#createKey(name, ['-subj', `/CN=${name}`, '-out', request]);
    const extensions = join(this.folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${san}\n`);
    const files = ['-in', request, '-out', this.#filesOf(name).certFile, '-extfile', extensions];
    const signer = ['-CA', this.ca.certFile, '-CAkey', this.ca.keyFile, '-CAcreateserial'];
    openssl(['x509', '-req', ...files, ...signer, '-days', String(days)]);
    return this.#read(name);
  }

  #createKey(name: string, args: readonly string[]): void {
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(['req', ...kind, '-keyout', this.#filesOf(name).keyFile, ...args]);
  }

  #filesOf(name: string): { certFile: string; keyFile: string } {
    return { certFile: join(this.folder, `${name}.crt`), keyFile: join(this.folder, `${name}.key`) };
  }

  #read(name: string): Certificate {
    const files = this.#filesOf(name);
    return { ...files, cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  }
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(status, 0, `openssl ${args.join(' ')}: ${stderr}`);
}
