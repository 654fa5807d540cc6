/** `top --url --batch`: agents with TLS and passwords, and addresses where there is no agent. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { answersOf, manyVms, startFakeAgent } from '../support/agent/fake-agent.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { CertificateAuthority } from '../support/certificate-authority.js';
import { endAll, endLater } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** bcrypt hash of "secret", made by the C library's crypt (perl -e 'print crypt(...)'). */
const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';

function top(...args: string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(PROGRAM, [...PROGRAM_ARGS, 'top', ...args], { timeout: 300_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test('--batch prints every VM and every column, -n times', async () => {
  const { url } = await startFakeAgent();
  const { code, stdout } = await top('--url', url, '--batch', '-n', '2', '--interval=500ms', '--sort=exits');
  assert.equal(code, 0);
  const [first, second, ...more] = stdout.split('\n\n');
  assert.deepEqual(more, ['']);
  const lines = first?.split('\n') ?? [];
  assert.equal(lines.length, 102);
  assert.match(lines[0] ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z, over 10\.0 s$/);
  assert.match(lines[2] ?? '', /^vm-100 +4 +10\.1k +4901 .* KVM_EXIT_IO ide1 +emulated-disk 40%$/);
  assert.equal(second?.split('\n').length, 102);
});

test('--batch --format=json prints a line each, and --vm chooses', async () => {
  const { url } = await startFakeAgent();
  const { stdout } = await top('--url', url, '--batch', '-n1', '--format=json', '--vm=vm-7', '--vm=vm-9?');
  const { vms } = JSON.parse(stdout) as ReturnType<typeof JSON.parse>;
  assert.equal(stdout.trimEnd().split('\n').length, 1);
  assert.deepEqual(vms[0], manyVms(7)[6]);
  assert.equal(vms.length, 11);
});

test('an agent with TLS and a password', needs('openssl'), async (t) => {
  const authority = new CertificateAuthority();
  authority.issue('server');
  const config = join(authority.folder, 'web.yml');
  writeFileSync(
    config,
    `tls_server_config: { cert_file: server.crt, key_file: server.key }\nbasic_auth_users: { admin: ${HASH} }\n`,
  );
  const { url } = await WebAgent.start(`--web.config.file=${config}`);
  const password = join(temporaryFolder(t, 'top'), 'password');
  writeFileSync(password, 'secret\n');
  const ca = `--url.ca-file=${authority.ca.certFile}`;
  const login = ['--url.user=admin', `--url.password-file=${password}`];
  const batch = ['--batch', '-n1', '--interval=500ms', '--url', url];

  const right = await top(...batch, ca, ...login);
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stdout, /^web-1 /m);

  const WRONG = [
    [[...login], /its certificate is not trusted: give --url\.ca-file/],
    [[ca], /the agent asks for a password: give --url\.user and --url\.password-file/],
    [[ca, '--url.user=admin'], /--url\.user and --url\.password-file belong together/],
    [[ca, '--url.user=admin', '--url.password-file=/nowhere'], /\/nowhere: no such file/],
    [['--url', url.replace('https', 'http'), ...login], /does the agent expect https/],
  ] as const;
  for (const [args, message] of WRONG) {
    const { code, stderr, stdout } = await top(...batch, ...args);
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /secret/);
  }
});

test('addresses where there is no agent', async () => {
  const port = await freePort();
  const nothing = await top('--batch', '-n1', '--url', `http://127.0.0.1:${port}`);
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /connection refused; is the agent running\?/);
  const ANSWERS: readonly (readonly [answer: unknown, message: RegExp])[] = [
    ['<html>', /the answer is not JSON; is http:.* the address of an agent\?/],
    [{ status: 'ok' }, /the answer has no VMs/],
    [undefined, /there is no agent at this address, or one of an older version/],
    ['x'.repeat(17 << 20), /longer than 16 MiB/],
    [`[${'{},'.repeat(5_000_000)}0]`, /the answer has too many values/],
    ['['.repeat(10_000_000), /the answer has too many values/],
  ];
  for (const [answer, message] of ANSWERS) {
    const { url } = await startFakeAgent(() => answer);
    const { code, stderr } = await top('--batch', '-n1', '--url', url);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
  const secret = await top('--batch', '-n1', '--url', 'http://admin:hunter2@127.0.0.1:1');
  assert.match(secret.stderr, /leave out user and password/);
  assert.doesNotMatch(secret.stderr, /hunter2/);
});

test('--batch ends with one line when its agent is killed', { timeout: 300_000 }, async () => {
  const agent = await WebAgent.start();
  const child = spawn(PROGRAM, [...PROGRAM_ARGS, 'top', '--url', agent.url, '--batch', '--interval=500ms']);
  const ended = once(child, 'close');
  let [stdout, stderr] = ['', ''];
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (text) => {
      stdout += text;
      if (stdout.includes('legacy-db')) resolve();
    });
  });
  agent.process.kill('SIGKILL');
  await ended;
  assert.equal(child.exitCode, 2);
  assert.match(stderr, /^kvm-exit-exporter: http:[^\n]+\n$/);
});

test('a server that never answers is given up', { timeout: 300_000 }, async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    silent.closeAllConnections();
    silent.close();
  });
  const { code, stderr } = await top(
    '--batch',
    '-n1',
    '--url',
    `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
  );
  assert.equal(code, 2);
  assert.match(stderr, /no answer within 5 s/);
});

test('a server that answers a byte a second is given up', { timeout: 300_000 }, async () => {
  const slow = createServer((_request, response) => {
    const timer = setInterval(() => response.write(' '), 1000);
    response.once('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    slow.closeAllConnections();
    slow.close();
  });
  const { port } = slow.address() as AddressInfo;
  const { code, stderr } = await top('--batch', '-n1', '--url', `http://127.0.0.1:${port}`);
  assert.equal(code, 2);
  assert.match(stderr, /no answer within 5 s|aborted/);
});

test('texts of megabytes, numbers without sense and other types make no long output', async () => {
  const [row] = manyVms(1);
  const long = '\u202e\u0301x'.repeat(200_000);
  const odd = {
    vm: long,
    vcpus: 1e308,
    kvm_exits_per_second: -1e308,
    qemu_exits_per_second: '7',
    time_shares: [],
    top_reason: { reason: long },
    top_device: { device: long, address: long },
    finding: { advice: long, title: long, cost: 1e300 },
  };
  const { url } = await startFakeAgent(
    answersOf([{ ...(row ?? assert.fail()), ...odd } as never, null as never, 7 as never]),
  );
  const { code, stdout, stderr } = await top('--batch', '-n1', '--url', url);
  assert.equal(code, 0, stderr);
  assert.ok(stdout.length < 50_000, `${stdout.length} characters`);
  assert.ok(!stdout.includes('\u202e'));
});

test('names of VMs do nothing to the terminal in a batch either', async () => {
  const [row] = manyVms(1);
  const { url } = await startFakeAgent(answersOf([{ ...(row ?? assert.fail()), vm: 'a\u001b[2J\nb' }]));
  for (const format of ['table', 'json']) {
    const { stdout } = await top('--batch', '-n1', `--format=${format}`, '--url', url);
    assert.ok(!stdout.includes('\u001b'), stdout);
  }
});

test('without a terminal, top says what to do', async () => {
  const { code, stderr } = await top();
  assert.equal(code, 2);
  assert.match(stderr, /top needs a terminal; top --batch -n 1 prints to a file or a pipe/);
});
