/** Certificates for tests, made by openssl on the spot. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority and what it has signed, in a folder of its own, which goes with the process. */
export class CertificateAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  readonly ca: Certificate;

  constructor(name = 'test authority') {
    process.on('exit', () => rmSync(this.folder, { recursive: true, force: true }));
    this.ca = this.#key('ca', ['-x509', '-days', '2', '-subj', `/CN=${name}`], '.crt');
  }

  /** `days` below zero: expired. */
  issue(name: string, { days = 2, san = 'IP:127.0.0.1,DNS:localhost' } = {}): Certificate {
    this.#key(name, ['-subj', `/CN=${name}`], '.csr');
    const extensions = join(this.folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${san}\n`);
    const { certFile } = this.#identity(name);
    const files = ['-in', join(this.folder, `${name}.csr`), '-out', certFile, '-extfile', extensions];
    openssl([
      'x509',
      '-req',
      ...files,
      '-CA',
      this.ca.certFile,
      '-CAkey',
      this.ca.keyFile,
      '-CAcreateserial',
      '-days',
      String(days),
    ]);
    return this.#read(name);
  }

  #key(name: string, args: readonly string[], suffix: string): Certificate {
    const { keyFile } = this.#identity(name);
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(['req', ...kind, '-keyout', keyFile, '-out', join(this.folder, `${name}${suffix}`), ...args]);
    return suffix === '.crt' ? this.#read(name) : { ...this.#identity(name), cert: '', key: '' };
  }

  #identity(name: string): { certFile: string; keyFile: string } {
    return { certFile: join(this.folder, `${name}.crt`), keyFile: join(this.folder, `${name}.key`) };
  }

  #read(name: string): Certificate {
    const files = this.#identity(name);
    return { ...files, cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  }
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(status, 0, `openssl ${args.join(' ')}: ${stderr}`);
}
