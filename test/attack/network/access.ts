/** Attacks on what decides who may read: names of hosts and passwords. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf } from '../../support/agent/web-agent.js';
import type { Attack, Target } from '../attack.js';

/** bcrypt hash of "secret". */
const HASH = '$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u';
/** Longer than a scraper waits by default. */
const MAX_SCRAPE_SECONDS = 10;
const GUESSERS = 100;

/** Names that are not the agent's, and the same with headers that a proxy would set. */
const FOREIGN_HOSTS: readonly Readonly<Record<string, string>>[] = [
  { host: 'rebound.example' },
  { host: 'REBOUND.example.:80' },
  { host: 'localhost.rebound.example' },
  { host: 'localhost@rebound.example' },
  { host: 'rebound.example', 'x-forwarded-host': 'localhost' },
  { host: 'rebound.example', forwarded: 'host=localhost' },
  { host: 'rebound.example', 'x-forwarded-for': '127.0.0.1' },
  { host: '127.0.0.1.rebound.example' },
  { host: '2130706433' },
  { host: '[fe80::1%25a/b]' },
];

const guessed = {
  prepare: async (folder: string) => {
    const file = join(folder, 'web.yml');
    writeFileSync(file, `basic_auth_users: {checker: ${HASH}, prometheus: ${HASH}}\n`);
    return [`--web.config.file=${file}`];
  },
  authorization: basic('checker:secret'),
  check: async ({ url }: Target) => {
    const startMs = performance.now();
    const signal = AbortSignal.timeout(3 * MAX_SCRAPE_SECONDS * 1000);
    const status = await statusOf(`${url}/metrics`, { auth: 'prometheus:secret', signal });
    const seconds = (performance.now() - startMs) / 1000;
    if (status === 200 && seconds < MAX_SCRAPE_SECONDS) return undefined;
    return `a new scraper gets ${status} after ${seconds.toFixed(1)} s`;
  },
};

/** Guesses without end: what the n-th try of a client sends as Authorization header. */
const GUESSES: Readonly<Record<string, (client: number, n: number) => string>> = {
  'passwords of one user': (client, n) => basic(`prometheus:${client}-${n}`),
  'passwords of many users': (client, n) => basic(`user-${client}-${n}:secret`),
  'long passwords': (client, n) => basic(`prometheus:${client}-${n}-${'x'.repeat(10_000)}`),
  'passwords in other scripts': (client, n) => basic(`prometheus:${'пароль\u{1f511}\u202e'.repeat(50)}${client}-${n}`),
  'no base64': (client, n) => `Basic ${client}:${n}***${'='.repeat(5000)}`,
};

export const ACCESS: readonly Attack[] = [
  {
    class: 'network',
    name: 'requests under the names of other hosts',
    command: 'demo',
    attack: async ({ url }, signal) => {
      for (let n = 0; !signal.aborted; n++)
        await statusOf(`${url}/metrics`, { headers: FOREIGN_HOSTS[n % FOREIGN_HOSTS.length] ?? {} });
    },
    check: async ({ url }) => {
      for (const headers of FOREIGN_HOSTS) {
        const status = await statusOf(`${url}/api/vms`, { headers, signal: AbortSignal.timeout(10_000) });
        if (status !== 421) return `${JSON.stringify(headers)} gets ${status}`;
      }
      return undefined;
    },
  },
  ...Object.entries(GUESSES).map(
    ([name, guess]): Attack => ({
      class: 'network',
      name: `guesses behind one address: ${name}`,
      command: 'demo',
      ...guessed,
      attack: async ({ url }, signal) => {
        const tryAll = async (client: number) => {
          for (let n = 0; !signal.aborted; n++)
            await statusOf(`${url}/metrics`, { headers: { authorization: guess(client, n) }, signal });
        };
        await Promise.all(Array.from({ length: GUESSERS }, (_, client) => tryAll(client)));
      },
    }),
  ),
];

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString('base64')}`;
}
