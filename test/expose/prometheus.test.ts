/** The text format, read by support/prometheus/metrics-text.ts and by promtool. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { attributionOf } from '../../src/agent/attribution.js';
import { Ledger } from '../../src/count/ledger.js';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { Inventory } from '../../src/vm/inventory.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { runAgent } from '../support/agent/run-agent.js';
import { fixture } from '../support/fixtures.js';
import { MAIN } from '../support/paths.js';
import { type Family, type MetricSample, parseMetrics } from '../support/prometheus/metrics-text.js';
import { skipUnless } from '../support/requirements.js';

/** Names that a user could give a VM. They arrive as an argument of QEMU, in which a comma is doubled. */
const NAMES = [
  'quote " in "the" middle',
  'back\\slash \\n \\" \\',
  'two\nlines\n',
  'Prüfung 机器 🖥',
  'comma, {brace} = #',
  'tab\tand\rreturn',
];

/**
 * The label for a name: as it is, unless it has characters that act on a terminal. These are replaced, and a tag keeps
 * different names different: 128 bits of SHA-256 of the name in UTF-16LE, in base64 of URLs.
 */
function labelOf(name: string): string {
  const cleaned = name.replace(/[\t\r\n]/g, '\ufffd');
  if (cleaned === name) return name;
  return `${cleaned}~${createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('base64url').slice(0, 22)}`;
}

const FIRST_PID = 1000;

/** A recording in which the VM of the first name has one exit, that of the second name two, and so on. */
function setUp(t: TestContext, cmdlineOf: (name: string) => Buffer): { root: string; recording: string } {
  const tree = new ProcTree(t);
  const lines: string[] = [];
  for (const [index, name] of NAMES.entries()) {
    const pid = FIRST_PID + 10 * index;
    const threads = [{ tid: pid + 1, comm: 'CPU 0/KVM', startTime: 6 }];
    tree.put({ pid, comm: 'qemu-system-x86', startTime: 5, args: [], threads });
    writeFileSync(join(tree.root, String(pid), 'cmdline'), cmdlineOf(name));
    const header = `       CPU 0/KVM-${pid + 1}  (${String(pid).padStart(7)}) [000] d..1.  ${index + 1}.000000: `;
    for (let i = 0; i <= index; i++) lines.push(`${header}kvm_exit: vcpu 0 reason io rip 0x1 info1 0x0 info2 0x0`);
  }
  const recording = join(tree.root, 'trace.txt');
  writeFileSync(recording, lines.map((line) => `${line}\n`).join(''));
  return { root: tree.root, recording };
}

function qemuCmdline(name: Buffer): Buffer {
  const before = Buffer.from('/usr/bin/qemu-system-x86_64\0-name\0guest=');
  return Buffer.concat([before, name, Buffer.from(',debug-threads=on\0-m\x00512\0')]);
}

/** RECORDED holds a log of another host than the trace: what report says of that. */
const LOG_OF_ANOTHER_HOST = /^kvm-exit-exporter: \S+log\.txt\.gz: does not show which threads .* counted twice; .*\n$/;

function metricsOf(...args: string[]): Map<string, Family> {
  const { status, stdout, stderr } = runAgent('report', '--format', 'prometheus', ...args);
  assert.deepEqual({ status, stderr: stderr.replace(LOG_OF_ANOTHER_HOST, '') }, { status: 0, stderr: '' });
  return parseMetrics(stdout);
}

function samples(families: Map<string, Family>, name: string): readonly MetricSample[] {
  return families.get(name)?.samples ?? [];
}

test('names with quotes, backslashes and letters of any script survive; controls are replaced', (t) => {
  const { root, recording } = setUp(t, (name) => qemuCmdline(Buffer.from(name.replaceAll(',', ',,'))));
  const families = metricsOf('--path.procfs', root, recording);
  assert.deepEqual(
    samples(families, 'kvm_exits_total').map(({ labels, value }) => [Object.fromEntries(labels), value]),
    NAMES.map((name, index) => [{ vm: labelOf(name), vcpu: '0', layer: 'kvm', reason: 'io' }, index + 1]),
  );
  assert.deepEqual(
    samples(families, 'kvm_vm_info').map(({ labels }) => labels.get('vm')),
    NAMES.map(labelOf),
  );
});

test('bytes that are not UTF-8 become replacement characters, so that the exposition is UTF-8', (t) => {
  const { root, recording } = setUp(t, (name) =>
    qemuCmdline(Buffer.concat([Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]), Buffer.from(String(name.length))])),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [MAIN, 'report', '--format=prometheus', `--path.procfs=${root}`, recording],
    { encoding: 'buffer' },
  );
  assert.equal(status, 0);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(stdout);
  const vms = samples(parseMetrics(text), 'kvm_vm_info').map(({ labels }) => labels.get('vm') ?? '');
  assert.equal(vms.length, NAMES.length);
  for (const vm of vms) assert.match(vm, /^\ufffd+\(\ufffd+\d+(?: \(\d+\))?$/u);
});

test('words of a damaged recording are escaped', (t) => {
  const { root } = setUp(t, (name) => qemuCmdline(Buffer.from(name.replaceAll(',', ',,'))));
  const recording = join(root, 'damaged.txt');
  const header = Buffer.from('  CPU 0/KVM-1001  ( 1001) [000] d..1.  1.000000: ');
  const exit = Buffer.from('kvm_exit: vcpu 0 reason "x\\y\xffz" rip 0x1\n', 'latin1');
  writeFileSync(recording, Buffer.concat([header, exit, header, Buffer.from('kvm_\\"\xe9{}: text\n', 'latin1')]));
  const families = metricsOf(recording);
  assert.deepEqual(
    samples(families, 'kvm_exits_total').map(({ labels }) => labels.get('reason')),
    ['"x\\y\u00ffz"'],
  );
  assert.deepEqual(
    samples(families, 'kvm_tracepoint_hits_total').map(({ labels }) => labels.get('tracepoint')),
    ['kvm_exit', 'kvm_\\"\u00e9{}'],
  );
});

const RECORDED = [
  '--path.procfs',
  fixture('svm/two-vms-6.12/proc'),
  fixture('svm/two-vms-6.12/trace_pipe.txt'),
  fixture('qemu-log/b2-timestamp/log.txt'),
];

/** Metrics of the process, of Node.js and of the build, which do not come from snapshots. */
const OWN =
  /^(?:process_|nodejs_|kvm_exit_exporter_(?:build_info|scrape_seconds|event_loop_max_(?:stall|work)_seconds|max_resident_memory_bytes)$)/;

test('metrics are those of the catalogue, each with its help, type and labels', () => {
  const families = metricsOf(...RECORDED);
  const of = (names: readonly { name: string; type?: string | undefined; help?: string | undefined }[]) =>
    names.map(({ name, type, help }) => ({ name, type, help })).sort((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(of([...families.values()].filter(({ name }) => !OWN.test(name))), of(CATALOGUE));
  for (const { name, help, type } of families.values()) {
    assert.ok((help ?? '').length > 10 && type !== undefined, `${name} has no help or type`);
  }
  for (const { name, labels } of CATALOGUE) {
    for (const sample of samples(families, name)) {
      assert.deepEqual(
        [...sample.labels.keys()].filter((label) => label !== 'le'),
        labels,
        name,
      );
    }
  }
});

test('the exposition has the counts of the JSON report', () => {
  const { stdout } = runAgent('report', '--format', 'json', ...RECORDED);
  const want = JSON.parse(stdout);
  const key = (labels: ReadonlyMap<string, string>): string => [...labels.values()].join('|');
  const families = metricsOf(...RECORDED);
  assert.deepEqual(
    Object.fromEntries(samples(families, 'kvm_exits_total').map(({ labels, value }) => [key(labels), value])),
    Object.fromEntries(
      want.exits.map((exit: Record<string, string | number>) => [
        [exit.vm, exit.vcpu, exit.layer, exit.reason].join('|'),
        exit.count,
      ]),
    ),
  );
  assert.ok(want.exits.length > 10);
});

test('each of several concurrent scrapes shows one moment', async (t) => {
  const tree = new ProcTree(t);
  const ledger = new Ledger(attributionOf(new Inventory({ procfs: tree.root, live: false })));
  const source = ledger.kernelSource('ftrace');
  const [io, hits] = [ledger.vocabulary.reasons.id('io'), ledger.vocabulary.tracepoints.id('kvm_exit')];
  const hitAndTake = () => {
    source.tracepoint(0, 0, 7, hits);
    source.vmExit(0, 0, 7, 0, io, 0);
    return takeSnapshot(ledger.totals());
  };
  const view = new PrometheusView({ takeSnapshot: hitAndTake, version: 'test' });
  const texts = await Promise.all([view.render(), view.render(), view.render()]);
  for (const [index, text] of texts.entries()) {
    const families = parseMetrics(text);
    for (const name of ['kvm_exits_total', 'kvm_tracepoint_hits_total']) {
      assert.deepEqual(
        samples(families, name).map(({ value }) => value),
        [index + 1],
      );
    }
  }
});

const promtool = spawnSync('promtool', ['--version']).status === 0;

test('promtool check metrics finds nothing', skipUnless('promtool', promtool), (t) => {
  const { root, recording } = setUp(t, (name) => qemuCmdline(Buffer.from(name.replaceAll(',', ',,'))));
  for (const args of [RECORDED, ['--path.procfs', root, recording], [fixture('ftrace-text/c5-lost/trace_pipe.txt')]]) {
    const { stdout: input } = runAgent('report', '--format', 'prometheus', ...args);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  }
});

test('the parser of these tests rejects invalid text', () => {
  const broken = [
    'a 1',
    'a{x="1} 1\n',
    'a{x="\\t"} 1\n',
    'a{x="1" y="2"} 1\n',
    'a{x="1",x="2"} 1\n',
    'a one\n',
    'a 1\nb 1\na{x="2"} 1\n',
    'a 1\na 2\n',
    'a 1\n# TYPE a counter\n',
    '# HELP a b\n# HELP a c\na 1\n',
    'a{x="two\nlines"} 1\n',
  ];
  for (const text of broken) assert.throws(() => parseMetrics(text), JSON.stringify(text));
});
