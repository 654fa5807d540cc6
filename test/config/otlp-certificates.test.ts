/** Certificate files of OTLP that the exporter would ignore without a word. openssl makes the good ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { certificateProblems } from '../../src/config/otlp-certificates.js';
import { CertificateAuthority } from '../support/certificate-authority.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const named = (variable: string, path: string | undefined) => (path === undefined ? undefined : { variable, path });

function problemsOf(files: { ca?: string; key?: string; cert?: string }): string[] {
  return certificateProblems({
    authority: named('CA', files.ca),
    clientKey: named('KEY', files.key),
    clientCertificate: named('CERT', files.cert),
  });
}

test('files that openssl made are accepted, a chain of certificates too', needs('openssl'), () => {
  const authority = new CertificateAuthority();
  const { certFile, keyFile, cert } = authority.issue('agent');
  const chain = join(authority.folder, 'chain.pem');
  writeFileSync(chain, `The agent:\n${cert}\n${authority.ca.cert}`);
  assert.deepEqual(problemsOf({}), []);
  assert.deepEqual(problemsOf({ ca: authority.ca.certFile, key: keyFile, cert: certFile }), []);
  assert.deepEqual(problemsOf({ ca: chain, key: keyFile, cert: chain }), []);
});

test('each unusable file is named with its variable and the reason', needs('openssl'), () => {
  const authority = new CertificateAuthority();
  const agent = authority.issue('agent');
  const other = authority.issue('other');
  const garbage = join(authority.folder, 'garbage.pem');
  writeFileSync(garbage, agent.cert.replace('\nM', '\nX'));
  const empty = join(authority.folder, 'empty.pem');
  writeFileSync(empty, '');
  const missing = join(authority.folder, 'missing.pem');
  const cases: readonly [Parameters<typeof problemsOf>[0], RegExp][] = [
    [{ ca: missing }, /^CA: .*missing\.pem/],
    [{ ca: authority.folder }, /^CA: .*certificates-/],
    [{ ca: empty }, /^CA: .*empty\.pem has no certificate in PEM/],
    [{ ca: garbage }, /^CA: .*garbage\.pem has no certificate in PEM/],
    [{ ca: agent.keyFile }, /^CA: .*agent\.key has no certificate in PEM/],
    [{ key: garbage, cert: agent.certFile }, /^KEY: .*garbage\.pem has no private key/],
    [{ key: agent.keyFile, cert: empty }, /^CERT: .*empty\.pem has no certificate in PEM/],
    [{ key: other.keyFile, cert: agent.certFile }, /^KEY: .*other\.key is not the key of .*agent\.crt/],
    [{ key: agent.keyFile }, /^KEY: expected OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too/],
    [{ cert: agent.certFile }, /^CERT: expected OTEL_EXPORTER_OTLP_CLIENT_KEY too/],
  ];
  for (const [files, expected] of cases) {
    const problems = problemsOf(files);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', expected);
  }
});

test('the program does not start with one: exit code 2, and no stack trace', needs('openssl'), () => {
  const { ca } = new CertificateAuthority();
  const environment = {
    ...process.env,
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: ca.keyFile,
  };
  const args = [...PROGRAM_ARGS, 'demo', '--web.listen-address=127.0.0.1:0'];
  // If it does start, it is ended after a while, and has no exit code.
  const { status, stderr } = spawnSync(PROGRAM, args, { encoding: 'utf8', env: environment, timeout: 300_000 });
  assert.equal(status, 2, stderr);
  assert.match(stderr, /OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: \S+ca\.key has no certificate in PEM/);
  assert.doesNotMatch(stderr, /^ +at /m);
});
