import type { SecureContextOptions } from 'node:tls';
import { AgentError } from '../../system/errors.js';
import { log } from '../../system/log.js';
import { secureContextOf } from './tls.js';
import { WatchedFiles } from './watched-files.js';
import { PLAIN_HTTP, parseWebConfig, type WebConfig } from './web-config.js';

export interface LoadedWebConfig extends WebConfig {
  /** Certificates and all that handshakes need; undefined: plain HTTP. */
  readonly secure: SecureContextOptions | undefined;
}

/** The web configuration file as it is now. Without one: plain HTTP, and no password. */
export class WebConfigFile {
  readonly #path: string | undefined;
  #current: LoadedWebConfig = { ...PLAIN_HTTP, secure: undefined };
  /** The file and the certificates that it names. */
  #files = new WatchedFiles();

  /** @throws AgentError naming every problem of the file, of its certificates and keys */
  constructor(path: string | undefined) {
    this.#path = path;
    if (path !== undefined) this.#current = load(path, this.#files);
  }

  get current(): LoadedWebConfig {
    if (this.#files.changed) this.reload();
    return this.#current;
  }

  /** Where the file is bad now, what was good before stays. */
  reload(): void {
    if (this.#path === undefined) return;
    // What it names now is watched from now on, be it good or bad.
    this.#files = new WatchedFiles();
    try {
      const now = load(this.#path, this.#files);
      if (isOpen(now) && !isOpen(this.#current)) throw new AgentError(EMPTIED(this.#path));
      this.#current = now;
      log('info', 'web configuration read again', { file: this.#path });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      log('error', 'web configuration is bad, keeping the one before', {
        because: error.message.replaceAll('\n', '; '),
      });
    }
  }
}

/** A file that somebody is just writing is empty for a moment: that must not open the door. */
const EMPTIED = (path: string) =>
  `${path}: has neither TLS nor passwords any more; to serve without them, restart the program`;

function isOpen({ tls, users }: WebConfig): boolean {
  return tls === undefined && users.size === 0;
}

function load(path: string, files: WatchedFiles): LoadedWebConfig {
  const config = parseWebConfig(path, files.read(path));
  return {
    ...config,
    secure: config.tls === undefined ? undefined : secureContextOf(path, config.tls, (file) => files.read(file)),
  };
}
