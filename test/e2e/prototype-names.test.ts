/** Names that every JavaScript object has, as names from outside: each place must treat them as any unknown name. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCommandLine } from '../../src/config/parse-command-line.js';
import { DomstatsReader } from '../../src/decode/statistics/domstats.js';
import { parseSchemas } from '../../src/decode/statistics/query-stats.js';
import { parsePodChange, parsePodList } from '../../src/kubernetes/pod.js';
import { parseWebConfig } from '../../src/web/access/parse-web-config.js';
import { reportOf } from '../support/agent/run-agent.js';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';

const NAMES = Object.getOwnPropertyNames(Object.prototype);
const FOLDER = mkdtempSync(join(tmpdir(), 'prototype-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

function problemOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.equal((error as Error).name, 'AgentError', String((error as Error).stack));
    return (error as Error).message;
  }
  return '';
}

const HASH = '$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW';

for (const name of NAMES) {
  test(`${name} in the web configuration file`, () => {
    const parse = (text: string) => problemOf(() => parseWebConfig('web.yml', text));
    for (const text of [
      `${name}: x`,
      `http_server_config: {${name}: x}`,
      `http_server_config: {headers: {${name}: x}}`,
      `tls_server_config: {${name}: x}`,
      `rate_limit: {${name}: x}`,
    ])
      assert.match(parse(text), new RegExp(`^web\\.yml: .*unknown key ${name}$`, 'm'), text);
    assert.deepEqual([...parseWebConfig('web.yml', `basic_auth_users: {${name}: ${HASH}}`).users], [[name, HASH]]);
  });

  test(`${name} as an option, a value, a command and a variable`, () => {
    const parse = (argv: string[], environment = {}) => problemOf(() => parseCommandLine(argv, environment));
    assert.match(parse(['run', `--${name}=x`]), new RegExp(`^unknown option --${name} `));
    assert.match(parse([name]), new RegExp(`^unknown command ${name} `));
    for (const flag of ['log.level', 'collector.io', 'no-collector.io', 'tracefs.buffer-size', 'vm.grace-period'])
      assert.match(parse(['run', `--${flag}=${name}`]), new RegExp(`^--${flag}=${name}: expected `), flag);
    assert.match(parse(['run'], { [`KVM_EXIT_EXPORTER_${name}`]: 'x' }), /^unknown variable /);
    assert.match(parse(['run'], { KVM_EXIT_EXPORTER_LOG_LEVEL: name }), /: expected debug, info/);
  });

  test(`${name} in the file of options`, () => {
    const file = join(FOLDER, 'config.yml');
    for (const text of [`${name}: x`, `log: {${name}: x}`, `web: {${name}: {${name}: x}}`, `log.level: ${name}`]) {
      writeFileSync(file, text);
      assert.notEqual(
        problemOf(() => parseCommandLine(['run', `--config.file=${file}`], {})),
        '',
        text,
      );
    }
  });

  test(`${name} in answers of the API server`, () => {
    const metadata = JSON.parse(`{"uid": "${name}", "name": "${name}", "namespace": "${name}", "${name}": "x",
      "resourceVersion": "1", "labels": {"${name}": "x"}, "annotations": {"${name}": "x"}}`);
    assert.equal(parsePodChange({ type: name, object: { metadata } }), undefined);
    const pod = { uid: name, name, namespace: name, vmi: '' };
    assert.deepEqual(parsePodList({ items: [{ metadata }], metadata: { [name]: 'x' } })?.pods, [pod]);
  });
}

test('such names in the statistics of a QEMU and of libvirt', () => {
  for (const name of NAMES) {
    const stat = { name: 'exits', type: name, unit: name, exponent: 0 };
    const answer = [{ provider: 'kvm', target: 'vcpu', stats: [stat] }];
    assert.deepEqual(
      parseSchemas(answer, () => true),
      new Map([['vcpu', new Map()]]),
      name,
    );
    assert.deepEqual(
      parseSchemas([{ ...answer[0], target: name }], () => true),
      new Map(),
      name,
    );
    const reader = new DomstatsReader(() => true);
    reader.push(`Domain: '${name}'\n  vcpu.0.exits.sum=${name}\n  vcpu.0.exits.${name}=1\n  vcpu.0.${name}.sum=1\n`);
    const values = [...reader.domains()].flatMap(([, parts]) => parts.flatMap((part) => part.values));
    assert.ok(
      values.every(([, value]) => value === 1),
      name,
    );
  }
});

test('such names in the paths and queries of requests', async () => {
  const agent = await WebAgent.start();
  for (const name of NAMES)
    for (const path of [
      `/${name}`,
      `/api/vm?name=${name}`,
      `/api/vm?${name}=x`,
      `/runbooks/${name}`,
      `/advice/${name}`,
    ])
      assert.match(String(await statusOf(`${agent.url}${path}`)), /^40[04]$/, path);
  assert.equal(await statusOf(`${agent.url}/metrics`), 200);
});

test('such names as reasons and events of a recording are counted under these names', () => {
  const file = join(FOLDER, 'trace.txt');
  const line = (name: string, at: number) =>
    `  CPU 0/KVM-1001  [000] d..1.  ${at}.000000: kvm_exit: vcpu 0 reason ${name} rip 0x1 info 0 0\n`;
  writeFileSync(file, NAMES.map((name, index) => line(name, index + 1)).join(''));
  const { exits } = reportOf(file);
  assert.deepEqual(
    exits.map(({ reason, count }) => [reason.toLowerCase(), count]).sort(),
    NAMES.map((name) => [name.toLowerCase(), 1]).sort(),
  );
});

test('a running agent survives such a header in the web configuration file', async () => {
  const file = join(FOLDER, 'web.yml');
  writeFileSync(file, `basic_auth_users: {a: ${HASH}}\n`);
  const agent = await WebAgent.start(`--web.config.file=${file}`);
  for (const name of NAMES) {
    writeFileSync(file, `basic_auth_users: {a: ${HASH}}\nhttp_server_config: {headers: {${name}: x}}\n`);
    await sleep(20);
    assert.equal(await statusOf(`${agent.url}/metrics`, { auth: 'a:secret' }), 200, name);
    await agent.until(`unknown key ${name}`);
  }
});
