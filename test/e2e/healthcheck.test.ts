/** `healthcheck`, the container's HEALTHCHECK, against agents that are healthy, protected, stopped and gone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { WebAgent } from '../support/agent/web-agent.js';
import { CertificateAuthority } from '../support/certificate-authority.js';
import { endAll } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const OPENSSL = needs('openssl');
/** bcrypt hash of "secret". */
const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';

const FOLDER = mkdtempSync(join(tmpdir(), 'healthcheck-'));
const authority = OPENSSL.skip === false ? new CertificateAuthority() : undefined;
afterEach(endAll);
after(() => {
  rmSync(FOLDER, { recursive: true });
  if (authority !== undefined) rmSync(authority.folder, { recursive: true });
});

/** Exit code and stderr. */
async function healthcheck(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<[number | null, string]> {
  const child = spawn(PROGRAM, [...PROGRAM_ARGS, 'healthcheck', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await once(child, 'close');
  return [child.exitCode, stderr];
}

function addressOf({ port }: WebAgent): string {
  return `--web.listen-address=:${port}`;
}

/** A web configuration file with a server certificate and the lines in `more`. */
function webConfig(name: string, more: string): string {
  assert.ok(authority !== undefined);
  authority.issue('server');
  const file = join(authority.folder, name);
  writeFileSync(file, `tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n${more}`);
  return `--web.config.file=${file}`;
}

test('an agent is healthy while it serves, and not after it has ended', async () => {
  const agent = await WebAgent.start();
  assert.deepEqual(await healthcheck([addressOf(agent)]), [0, '']);
  agent.process.kill('SIGTERM');
  await once(agent.process, 'close');
  const [code, stderr] = await healthcheck([addressOf(agent)]);
  assert.equal(code, 1);
  assert.match(stderr, /^not healthy: .*ECONNREFUSED/);
});

test('the address comes from the variable that the agent takes', async () => {
  const agent = await WebAgent.start();
  const variable = { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: `0.0.0.0:${agent.port}` };
  assert.deepEqual(await healthcheck([], variable), [0, '']);
  const unused = { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: `127.0.0.1:${await freePort()}` };
  assert.equal((await healthcheck([], unused))[0], 1);
});

test('the address comes from the configuration file that the agent takes', async () => {
  const agent = await WebAgent.start();
  const file = join(FOLDER, 'config.yml');
  writeFileSync(file, `web:\n  listen-address: [':${agent.port}']\n`);
  assert.deepEqual(await healthcheck([], { KVM_EXIT_EXPORTER_CONFIG_FILE: file }), [0, '']);
});

test('an agent that hangs is not healthy', async () => {
  const agent = await WebAgent.start();
  // The kernel still accepts connections for the stopped process.
  agent.process.kill('SIGSTOP');
  const [code, stderr] = await healthcheck([addressOf(agent)]);
  assert.deepEqual([code, stderr], [1, 'not healthy: no answer within 4000 ms\n']);
});

for (const [name, more] of [
  ['TLS', ''],
  ['passwords', `basic_auth_users:\n  prometheus: ${HASH}\n`],
  ['client certificates', '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n'],
  ['client certificates over TLS 1.2', '  client_auth_type: RequireAnyClientCert\n  max_version: TLS12\n'],
] as const) {
  test(`needs no secret for an agent with ${name}`, OPENSSL, async () => {
    const file = webConfig(`${name}.yml`, more);
    const agent = await WebAgent.start(file);
    assert.match(agent.url, /^https:/);
    assert.deepEqual(await healthcheck([addressOf(agent), file]), [0, '']);
  });
}

test('an agent with TLS that hangs is not healthy', OPENSSL, async () => {
  const file = webConfig('stuck.yml', '');
  const agent = await WebAgent.start(file);
  agent.process.kill('SIGSTOP');
  assert.equal((await healthcheck([addressOf(agent), file]))[0], 1);
});

test('an agent with a web configuration without TLS is asked over plain HTTP', OPENSSL, async () => {
  assert.ok(authority !== undefined);
  const path = join(authority.folder, 'plain.yml');
  writeFileSync(path, `basic_auth_users:\n  prometheus: ${HASH}\n`);
  const file = `--web.config.file=${path}`;
  const agent = await WebAgent.start(file);
  assert.match(agent.url, /^http:/);
  assert.deepEqual(await healthcheck([addressOf(agent), file]), [0, '']);
});

test('an unknown option is reported as the agent reports it', async () => {
  const [code, stderr] = await healthcheck(['--web.listen-addres=:1']);
  assert.equal(code, 1);
  assert.match(stderr, /^kvm-exit-exporter: .*--web\.listen-addres/);
});
