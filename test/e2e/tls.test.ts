/** TLS, client certificates and passwords, from the side of the scraper. */
import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { runAgent } from '../support/agent/run-agent.js';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { type Certificate, CertificateAuthority } from '../support/certificate-authority.js';
import { endAll } from '../support/end-later.js';
import { Prometheus } from '../support/prometheus/prometheus.js';
import { needs } from '../support/requirements.js';

const OPENSSL = needs('openssl');

/** bcrypt hash of "secret", made by the C library's crypt (perl -e 'print crypt(...)'). */
const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';

const authority = OPENSSL.skip === false ? new CertificateAuthority() : undefined;
const otherAuthority = OPENSSL.skip === false ? new CertificateAuthority('another authority') : undefined;
afterEach(endAll);
after(() => {
  for (const each of [authority, otherAuthority]) if (each !== undefined) rmSync(each.folder, { recursive: true });
});

function authorities(): { own: CertificateAuthority; other: CertificateAuthority; server: Certificate } {
  assert.ok(authority !== undefined && otherAuthority !== undefined);
  return { own: authority, other: otherAuthority, server: authority.issue('server') };
}

/** bcrypt hash of "secret" that takes much longer to check than a client waits for it, on any machine. */
const SLOW_HASH = '$2y$14$abcdefghijklmnopqrstuug2/T3netL3BPRcnafSaAr9lEfTNoLyC';

let files = 0;
/** A web configuration file in the authority's folder, so that names of certificates need no path. */
function webConfig(text: string): string {
  const file = join(authorities().own.folder, `web-${++files}.yml`);
  writeFileSync(file, text);
  return file;
}

/** Replaces a file atomically. */
function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const TLS = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n';
const USERS = `basic_auth_users:\n  prometheus: ${HASH}\n`;

test('with TLS and passwords every path requires both', OPENSSL, async () => {
  const { own } = authorities();
  const agent = await WebAgent.start(`--web.config.file=${webConfig(TLS + USERS)}`);
  const ca = own.ca.cert;
  assert.match(agent.url, /^https:/);
  for (const path of ['/metrics', '/', '/-/healthy', '/healthz', '/nowhere']) {
    const right = path === '/nowhere' ? 404 : 200;
    assert.equal(await statusOf(agent.url + path, { ca, auth: 'prometheus:secret' }), right, path);
    assert.equal(await statusOf(agent.url + path, { ca, auth: 'prometheus:wrong' }), 401, path);
    assert.equal(await statusOf(agent.url + path, { ca, auth: 'stranger:secret' }), 401, path);
    assert.equal(await statusOf(agent.url + path, { ca }), 401, path);
  }
  assert.match(String(await statusOf(`${agent.url.replace('https', 'http')}/metrics`)), /^(ECONNRESET|EPIPE|HPE_\w+)$/);
  assert.equal(await statusOf(`${agent.url}/metrics`), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('a client that disconnects while its password is checked does not use up a request slot', OPENSSL, async () => {
  const agent = await WebAgent.start(
    `--web.config.file=${webConfig(`basic_auth_users:\n  prometheus: ${SLOW_HASH}\n`)}`,
    '--web.max-requests=2',
  );
  const url = `${agent.url}/metrics`;
  const auth = 'prometheus:secret';
  const abandoned = Array.from({ length: 3 }, () => statusOf(url, { auth, signal: AbortSignal.timeout(60) }));
  assert.deepEqual(await Promise.all(abandoned), ['ABORT_ERR', 'ABORT_ERR', 'ABORT_ERR']);
  for (let request = 0; request < 3; request++) assert.equal(await statusOf(url, { auth }), 200);
});

test('only valid client certificates are accepted', OPENSSL, async () => {
  const { own, other } = authorities();
  const tls = `${TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n`;
  const agent = await WebAgent.start(`--web.config.file=${webConfig(tls)}`);
  const ask = (identity?: Certificate) =>
    statusOf(`${agent.url}/metrics`, { ca: own.ca.cert, ...(identity && { cert: identity.cert, key: identity.key }) });
  assert.equal(await ask(own.issue('client')), 200);
  for (const [who, identity] of [
    ['none', undefined],
    ['expired', own.issue('expired', { days: -1 })],
    ['of an unknown authority', other.issue('unknown')],
    ['self-signed', other.ca],
  ] as const)
    assert.match(String(await ask(identity)), /^(ECONNRESET|EPIPE|ERR_SSL_\w+)$/, who);
  assert.equal(await ask(own.issue('client-2')), 200);
});

for (const { type, sans = '', want } of [
  { type: 'RequestClientCert', want: { none: 200, good: 200, unknown: 200 } },
  { type: 'RequireAnyClientCert', want: { none: 'ECONNRESET', good: 200, unknown: 200 } },
  { type: 'VerifyClientCertIfGiven', want: { none: 200, good: 200, unknown: 'ECONNRESET' } },
  {
    type: 'RequireAndVerifyClientCert',
    sans: 'scraper.example',
    want: { none: 'ECONNRESET', good: 200, unknown: 'ECONNRESET' },
  },
  {
    type: 'RequireAndVerifyClientCert',
    sans: 'other.example',
    want: { none: 'ECONNRESET', good: 'ECONNRESET', unknown: 'ECONNRESET' },
  },
])
  test(`client_auth_type ${type} ${sans}`, OPENSSL, async () => {
    const { own, other } = authorities();
    const list = sans === '' ? '' : `  client_allowed_sans: [${sans}]\n`;
    const agent = await WebAgent.start(
      `--web.config.file=${webConfig(`${TLS}  client_ca_file: ca.crt\n  client_auth_type: ${type}\n${list}`)}`,
    );
    const san = 'DNS:a.example,DNS:scraper.example,URI:spiffe://x/y';
    const identities = { none: undefined, good: own.issue('good', { san }), unknown: other.issue('bad', { san }) };
    const got: Record<string, number | string> = {};
    for (const [name, identity] of Object.entries(identities)) {
      const status = await statusOf(`${agent.url}/-/healthy`, {
        ca: own.ca.cert,
        ...(identity && { cert: identity.cert, key: identity.key }),
      });
      got[name] = typeof status === 'number' ? status : 'ECONNRESET';
    }
    assert.deepEqual(got, want);
  });

test('TLS versions and ciphers follow the file', OPENSSL, async () => {
  const { own } = authorities();
  const tls = `${TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP384]\n`;
  const agent = await WebAgent.start(`--web.config.file=${webConfig(tls)}`);
  const socket = connect({ port: agent.port, host: '127.0.0.1', ca: own.ca.cert });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const key = socket.getEphemeralKeyInfo() as { name?: string };
  assert.deepEqual(
    [socket.getProtocol(), socket.getCipher().name, key.name],
    ['TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'secp384r1'],
  );
  socket.destroy();
  assert.notEqual(await statusOf(`${agent.url}/`, { ca: own.ca.cert, minVersion: 'TLSv1.3' }), 200);
});

test('each mistake in the file stops the program at the start, with one clear line', OPENSSL, () => {
  const { own } = authorities();
  own.issue('elsewhere');
  writeFileSync(join(own.folder, 'not.pem'), 'hello\n');
  for (const [text, want] of [
    [
      `${TLS}  client_auth: x\n`,
      /web-\d+\.yml: tls_server_config: unknown key client_auth; did you mean client_auth_type\?$/,
    ],
    [TLS.replace('server.crt', 'missing.crt'), /missing\.crt: no such file$/],
    [
      TLS.replace('server.key', 'elsewhere.key'),
      /web-\d+\.yml: tls_server_config: the key does not belong to the certificate$/,
    ],
    [TLS.replace('server.crt', 'not.pem'), /web-\d+\.yml: tls_server_config: not in PEM format/],
    [`${TLS}  cipher_suites: [TLS_RSA]\n`, /unknown cipher TLS_RSA$/],
    ['basic_auth_users: {a: b}', /basic_auth_users\.a: not a bcrypt hash/],
    ['a: [', /web-\d+\.yml: line 1: /],
  ] as const) {
    const { status, stderr } = runAgent(
      'demo',
      '--web.listen-address=127.0.0.1:0',
      `--web.config.file=${webConfig(text)}`,
    );
    assert.equal(status, 2, stderr);
    const lines = stderr.split('\n').filter((line) => line !== '');
    assert.equal(lines.length, 1, stderr);
    assert.match(lines[0] ?? '', want);
  }
});

test(
  'a change applies from the next connection on; an invalid file changes nothing and is reported',
  OPENSSL,
  async () => {
    const { own } = authorities();
    const file = webConfig(TLS + USERS);
    const agent = await WebAgent.start(`--web.config.file=${file}`);
    const ca = own.ca.cert;
    const ask = (auth: string) => statusOf(`${agent.url}/metrics`, { ca, auth });
    assert.equal(await ask('prometheus:secret'), 200);

    replaceFile(file, TLS.replace('server.crt', 'missing.crt') + USERS);
    assert.equal(await ask('prometheus:secret'), 200);
    assert.match(
      agent.log,
      /level=error msg="web configuration is invalid, keeping the previous one" err="\S+missing\.crt: no such file"/,
    );
    assert.equal(agent.log.match(/configuration is invalid/g)?.length, 1);

    // A file is empty for a moment while an editor writes it.
    writeFileSync(file, '');
    assert.equal(await ask('prometheus:wrong'), 401);
    assert.match(agent.log, /has neither TLS nor passwords any more/);

    replaceFile(file, TLS + USERS.replace('prometheus', 'grafana'));
    assert.deepEqual([await ask('prometheus:secret'), await ask('grafana:secret')], [401, 200]);

    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ port: agent.port, host: '127.0.0.1', ca }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        }).once('error', reject);
      });
    const before = await serial();
    own.issue('server');
    assert.notEqual(await serial(), before, 'a renewed certificate is not served');

    replaceFile(file, `${TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n`);
    await statusOf(`${agent.url}/metrics`, { ca });
    await agent.until('serving with changed TLS settings');
    assert.notEqual(await statusOf(`${agent.url}/metrics`, { ca }), 200, 'no client certificate is asked for');
    const { cert, key } = own.issue('client');
    assert.equal(await statusOf(`${agent.url}/metrics`, { ca, cert, key }), 200);

    replaceFile(file, USERS);
    const plain = `http://127.0.0.1:${agent.port}/metrics`;
    let status = await statusOf(plain, { auth: 'prometheus:secret' });
    // The agent closes the port and opens it again.
    for (let tries = 0; status !== 200 && tries < 300; tries++) {
      await sleep(200);
      status = await statusOf(plain, { auth: 'prometheus:secret' });
    }
    assert.equal(status, 200);
    assert.equal(await statusOf(plain), 401);
    rmSync(file);
    assert.equal(await statusOf(plain), 401, 'without the file no password is required');
  },
);

test('Prometheus needs both certificate and password, and then gets type and help of every metric', {
  skip: OPENSSL.skip || needs('prometheus').skip,
}, async (t) => {
  const { own, other } = authorities();
  const clients = `${TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n`;
  const agent = await WebAgent.start(`--web.config.file=${webConfig(clients + USERS)}`);
  const scrape = (identity: Certificate | undefined, password: string, scheme = 'https') => ({
    scheme,
    tls_config: {
      ca_file: own.ca.certFile,
      ...(identity && { cert_file: identity.certFile, key_file: identity.keyFile }),
    },
    basic_auth: { username: 'prometheus', password },
  });
  const good = own.issue('prometheus');
  const prometheus = await Prometheus.start({
    target: `127.0.0.1:${agent.port}`,
    rules: [],
    job: 'good',
    scrape: scrape(good, 'secret'),
    moreJobs: {
      'wrong password': scrape(good, 'wrong'),
      'no certificate': scrape(undefined, 'secret'),
      'expired certificate': scrape(own.issue('prometheus-old', { days: -1 }), 'secret'),
      'unknown certificate': scrape(other.issue('prometheus-other'), 'secret'),
      'plain HTTP': scrape(good, 'secret', 'http'),
    },
  });
  t.after(() => prometheus.stop());
  const missing = async () => {
    const metadata = (await prometheus.api('targets/metadata', { match_target: '{job="good"}' })) as Metadata[];
    return CATALOGUE.flatMap(({ name, type, help }) => {
      // OpenMetrics, which Prometheus prefers, calls a counter's family by its name without _total.
      const family = type === 'counter' ? name.replace(/_total$/, '') : name;
      const known = metadata.find(({ metric }) => metric === family);
      return known?.type === type && known.help === help ? [] : [`${family}: ${JSON.stringify(known)}`];
    });
  };
  for (let tries = 0; tries < 240 && (await missing()).length > 0; tries++) await sleep(250);
  assert.deepEqual(await missing(), []);
  const up = async () =>
    Object.fromEntries((await prometheus.query('up')).map(({ metric, values }) => [metric.job, values[0]]));
  for (let tries = 0; tries < 240 && Object.keys(await up()).length < 6; tries++) await sleep(250);
  assert.deepEqual(await up(), {
    good: 1,
    'wrong password': 0,
    'no certificate': 0,
    'expired certificate': 0,
    'unknown certificate': 0,
    'plain HTTP': 0,
  });
  const sums = await prometheus.query('sum by (vm) (kvm_exits_total{layer="qemu"}) > 0');
  assert.deepEqual(sums.map(({ metric }) => metric.vm).sort(), ['legacy-db', 'web-1']);
});

interface Metadata {
  readonly metric: string;
  readonly type: string;
  readonly help: string;
}
