import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../src/system/errors.js';
import { parseWebConfig } from '../../../src/web/access/parse-web-config.js';

const HASH = '$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG';

function problems(text: string): string[] {
  try {
    parseWebConfig('w', text);
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return error.message.split('\n');
  }
  return [];
}

test('the example of exporter-toolkit is accepted', () => {
  const text = `
# TLS and basic authentication configuration example.
tls_server_config:
  cert_file: server.crt
  key_file: server.key
basic_auth_users:
  alice: ${HASH}
  "0x10": ${HASH}
rate_limit:
  interval: "1s" # time interval between two requests
  burst: 20
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: ""
`;
  const { tls, users, headers, rateLimit } = parseWebConfig('w', text);
  assert.deepEqual(tls, {
    cert: { file: 'server.crt' },
    key: { file: 'server.key' },
    clientCa: undefined,
    clientAuth: 'NoClientCert',
    clientSans: [],
    minVersion: 'TLS12',
    maxVersion: 'TLS13',
    ciphers: [],
    preferServerCiphers: true,
    curves: [],
  });
  assert.deepEqual(
    [...users],
    [
      ['alice', HASH],
      ['0x10', HASH],
    ],
  );
  assert.deepEqual(headers, { 'X-Frame-Options': 'deny' });
  assert.deepEqual(rateLimit, { intervalMs: 1000, burst: 20 });
});

for (const text of ['', '# nothing\n', 'tls_server_config:\n', 'tls_server_config: {}\nbasic_auth_users:\n'])
  test(`${JSON.stringify(text)} means plain HTTP`, () => {
    const { tls, users, headers, rateLimit } = parseWebConfig('w', text);
    assert.deepEqual([tls, users.size, headers, rateLimit], [undefined, 0, {}, undefined]);
  });

const TLS = 'cert_file: c, key_file: k';
const BAD: readonly [string, readonly RegExp[]][] = [
  ['tls_server_confg: {}', [/^w: unknown key tls_server_confg; did you mean tls_server_config\?$/]],
  [`tls_server_config: {${TLS}, client_auth: x}`, [/^w: tls_server_config: unknown key client_auth/]],
  ['tls_server_config: {min_version: TLS12}', [/missing one of cert or cert_file$/, /missing one of key or key_file$/]],
  [`tls_server_config: {${TLS}, cert: x}`, [/cert and tls_server_config.cert_file: give one of them/]],
  [`tls_server_config: {${TLS}, client_auth_type: Always}`, [/client_auth_type: expected NoClientCert, /]],
  [`tls_server_config: {${TLS}, client_ca_file: ca}`, [/client_ca_file: has no effect without client_auth_type/]],
  [`tls_server_config: {${TLS}, client_auth_type: RequireAndVerifyClientCert}`, [/needs client_ca_file or client_ca/]],
  [`tls_server_config: {${TLS}, client_allowed_sans: [a]}`, [/client_allowed_sans: needs client_auth_type/]],
  [`tls_server_config: {${TLS}, client_allowed_sans: a}`, [/client_allowed_sans: expected a list/]],
  [`tls_server_config: {${TLS}, max_version: TLS14}`, [/max_version: expected TLS10, TLS11, TLS12, TLS13/]],
  [
    `tls_server_config: {${TLS}, prefer_server_cipher_suites: yes}`,
    [/prefer_server_cipher_suites: expected true, false/],
  ],
  [
    'basic_auth_users: {a: secret, b: $2y$10$x}',
    [/basic_auth_users.a: not a bcrypt hash/, /basic_auth_users.b: not a bcrypt hash/],
  ],
  [`basic_auth_users: {"a:b": ${HASH}}`, [/cannot contain a colon/]],
  ['basic_auth_users: [a]', [/basic_auth_users: expected "key: value" lines/]],
  ['http_server_config: {headers: {X-Foo: bar}}', [/unknown key X-Foo/]],
  ['http_server_config: {headers: {X-Frame-Options: allow}}', [/X-Frame-Options: expected deny, sameorigin/]],
  [
    'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a"}}',
    [/characters that are not allowed in a header/],
  ],
  ['rate_limit: {interval: soon, burst: many}', [/rate_limit.interval/, /rate_limit.burst/]],
  ['rate_limit: {interval: 1s}', [/rate_limit\.burst: must be at least 1/]],
  [
    `tls_server_config: {${TLS}, min_version: TLS13, max_version: TLS12}`,
    [/^w: tls_server_config\.min_version: higher than max_version$/],
  ],
  [`basic_auth_users: {a: ${HASH.replace('$10$', '$17$')}}`, [/basic_auth_users\.a: not a bcrypt hash/]],
  [`basic_auth_users: {a: ${HASH.replace('$2y$', '$2x$')}}`, [/basic_auth_users\.a: not a bcrypt hash/]],
  ['a: [', [/^w: line 1: /]],
  ['basic_auth_users: &a {}\nrate_limit: *a', [/aliases/]],
  ['hello', [/^w: the file: expected "key: value" lines/]],
];
for (const [text, want] of BAD)
  test(`${text} is refused`, () => {
    const messages = problems(text);
    assert.equal(messages.length, want.length, messages.join('\n'));
    for (const [index, pattern] of want.entries()) assert.match(messages[index] ?? '', pattern);
  });

test('messages do not repeat secrets', () => {
  assert.doesNotMatch(problems('basic_auth_users: {a: hunter2}').join('\n'), /hunter2/);
});
