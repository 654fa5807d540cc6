import { X509Certificate } from 'node:crypto';
import { AgentError } from '../../system/errors.js';
import { log } from '../../system/log.js';
import { PLAIN_HTTP, parseWebConfig, type WebConfig } from './parse-web-config.js';
import { type ServerContext, tlsContext } from './tls-context.js';
import { WatchedFiles } from './watched-files.js';

export interface LoadedWebConfig extends WebConfig {
  /** Certificate, key and the other settings of TLS; undefined: plain HTTP. */
  readonly secure: ServerContext | undefined;
  /** The server's own; undefined: plain HTTP. */
  readonly certificate: X509Certificate | undefined;
}

/**
 * The web configuration in force. It is read again when the file or a certificate changes. Without a file: plain HTTP,
 * no password.
 */
export class WebConfigFile {
  readonly #path: string | undefined;
  #current: LoadedWebConfig = { ...PLAIN_HTTP, secure: undefined, certificate: undefined };
  /** The file and the certificates that it names. */
  #files = new WatchedFiles();

  /** @throws AgentError that lists every problem of the file and its certificates */
  constructor(path: string | undefined) {
    this.#path = path;
    if (path !== undefined) this.#current = load(path, this.#files);
  }

  get current(): LoadedWebConfig {
    if (this.#files.hasChanged) this.reload();
    return this.#current;
  }

  /** Reads the file. If it is invalid, the configuration in force is kept. */
  reload(): void {
    if (this.#path === undefined) return;
    // Even if the new content is invalid, the certificates that it names are watched from now on.
    this.#files = new WatchedFiles();
    try {
      const next = load(this.#path, this.#files);
      if (isOpen(next) && !isOpen(this.#current)) throw new AgentError(openedMessage(this.#path));
      this.#current = next;
      log('info', 'web configuration reloaded', { path: this.#path });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      log('error', 'web configuration is invalid, keeping the previous one', {
        err: error.message.replaceAll('\n', '; '),
      });
    }
  }
}

/** A file is empty for a moment while an editor writes it. That must not switch off TLS and passwords. */
function openedMessage(path: string): string {
  return `${path}: has neither TLS nor passwords any more; to serve without them, restart the program`;
}

function isOpen({ tls, users }: WebConfig): boolean {
  return tls === undefined && users.size === 0;
}

function load(path: string, files: WatchedFiles): LoadedWebConfig {
  const config = parseWebConfig(path, files.read(path));
  if (config.tls === undefined) return { ...config, secure: undefined, certificate: undefined };
  const secure = tlsContext(path, config.tls, (file) => files.read(file));
  return { ...config, secure, certificate: new X509Certificate(secure.cert) };
}
