import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { log } from '../../system/log.js';

/** Time between two log lines about refused names. */
const REPEAT_MS = 60_000;
const MAX_NAME_LENGTH = 253;

/**
 * Decides by a request's Host header whether it is meant for this agent.
 *
 * A web page can have its own name resolve to an address of this machine (DNS rebinding), and its script then reads
 * from the agent what the browser could read. The browser sends that name in the Host header. An address there is
 * harmless: the script runs under the name of its page.
 */
export class AllowedHosts {
  readonly #names: ReadonlySet<string>;
  /** Domains of which every name is allowed, with a dot before them: `*.example.com`. */
  readonly #domains: readonly string[];
  readonly #isOpen: boolean;
  readonly #now: () => number;
  #loggedMs = Number.NEGATIVE_INFINITY;

  /** @param names of this machine, and what --web.allowed-hosts gives: also `*.example.com`, and `*` for all */
  constructor(names: readonly string[], now = () => performance.now()) {
    const lower = names.map((name) => name.toLowerCase());
    this.#isOpen = lower.includes('*');
    this.#domains = ['.localhost', ...lower.filter((name) => name.startsWith('*.')).map((name) => name.slice(1))];
    this.#names = new Set(['localhost', 'localhost.localdomain', ...lower]);
    this.#now = now;
  }

  /** @param header undefined for clients of HTTP/1.0, which are no browsers */
  allows(header: string | undefined, certificate?: X509Certificate): boolean {
    if (this.#isOpen || header === undefined || header === '') return true;
    const name = hostOf(header);
    if (name === undefined) return false;
    return (
      isIP(name) !== 0 ||
      this.#names.has(name) ||
      this.#domains.some((domain) => name.endsWith(domain)) ||
      // A browser would not send the name to a server whose certificate is not for it.
      certificate?.checkHost(name) !== undefined
    );
  }

  /** Logs the first refused name of a minute, and returns what to answer. */
  refusal(header: string | undefined): string {
    const name = hostOf(header ?? '') ?? 'NAME';
    if (this.#now() - this.#loggedMs >= REPEAT_MS) {
      this.#loggedMs = this.#now();
      log('warn', 'request for an unknown host name refused; if it is right, set --web.allowed-hosts', { host: name });
    }
    return `${name} is not a name of this agent; if it should be, start the agent with --web.allowed-hosts=${name}`;
  }
}

/**
 * Name or address without port, brackets and final dot, in lower case. Undefined if it cannot be one: so it contains
 * nothing that could harm in a log or a response.
 */
function hostOf(header: string): string | undefined {
  const [, address, name] = /^(?:\[([\da-fA-F:.]+(?:%25?[\w.-]+)?)\]|([\w.-]+))(?::\d{1,5})?$/.exec(header) ?? [];
  const host = (address ?? name)?.toLowerCase().replace(/\.$/, '').replace('%25', '%');
  return host === undefined || host === '' || host.length > MAX_NAME_LENGTH ? undefined : host;
}
