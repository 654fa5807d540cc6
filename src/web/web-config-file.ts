import { readFileSync, statSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { AgentError, fileError } from '../agent-error.js';
import { log } from '../log.js';
import { secureContextOf, tlsFiles } from './tls.js';
import { PLAIN_HTTP, parseWebConfig, type WebConfig } from './web-config.js';

export interface LoadedWebConfig extends WebConfig {
  /** Certificates and all that handshakes need; undefined: plain HTTP. */
  readonly secure: SecureContextOptions | undefined;
}

/** The web configuration file as it is now. Without one: plain HTTP, and no password. */
export class WebConfigFile {
  readonly #path: string | undefined;
  #current: LoadedWebConfig = { ...PLAIN_HTTP, secure: undefined };
  /** What the files looked like when they were last read, well or not. */
  #seen = '';

  /** @throws AgentError naming every problem of the file, of its certificates and keys */
  constructor(path: string | undefined) {
    this.#path = path;
    if (path === undefined) return;
    this.#seen = this.#look(path);
    this.#current = load(path);
    this.#seen = this.#look(path);
  }

  /** A few system calls, no more, where nothing has changed. */
  get current(): LoadedWebConfig {
    if (this.#path !== undefined && this.#look(this.#path) !== this.#seen) this.reload();
    return this.#current;
  }

  /** Where the file is bad now, what was good before stays. */
  reload(): void {
    if (this.#path === undefined) return;
    this.#seen = this.#look(this.#path);
    try {
      this.#current = load(this.#path);
      // It may name other files than before.
      this.#seen = this.#look(this.#path);
      log('info', 'web configuration read again', { file: this.#path });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      log('error', 'web configuration is bad, keeping the one before', {
        because: error.message.replaceAll('\n', '; '),
      });
    }
  }

  /** Cheap, and enough to tell that a file is another: also where a link to it was changed, as Kubernetes does with secrets. */
  #look(path: string): string {
    const { tls } = this.#current;
    return [path, ...(tls === undefined ? [] : tlsFiles(path, tls))].map(identity).join(' ');
  }
}

function identity(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}

function load(path: string): LoadedWebConfig {
  const config = parseWebConfig(path, readText(path));
  return { ...config, secure: config.tls === undefined ? undefined : secureContextOf(path, config.tls) };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(path, error);
  }
}
