/** Answers of a real QEMU 7.2 (test/fixtures/qemu-stats), and answers that no QEMU gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isShownByDefault } from '../../../src/decode/statistics/default-statistics.js';
import { areMirrored, mirrored } from '../../../src/decode/statistics/mirrored-histograms.js';
import { parseCpus, parseSchemas, parseStats } from '../../../src/decode/statistics/query-stats.js';
import type { StatisticsPart, StatisticValue } from '../../../src/trace/kvm-statistic.js';
import { readJson } from '../../support/fixtures.js';

interface Answers {
  readonly schemas: unknown;
  readonly cpus: unknown;
  readonly vm: unknown;
  readonly vcpu: unknown;
}

const ANSWERS = readJson<Answers>('qemu-stats/two-vcpus-7.2.json');
const all = () => true;

function schemaOf(target: 'vm' | 'vcpu', isWanted: (name: string) => boolean = all, answer = ANSWERS.schemas) {
  const schema = parseSchemas(answer, isWanted).get(target);
  assert.ok(schema !== undefined);
  return schema;
}

function findValue(values: readonly StatisticValue[], name: string): StatisticValue[1] | undefined {
  return values.find(([statistic]) => statistic.name === name)?.[1];
}

function part(values: readonly StatisticValue[]): StatisticsPart {
  return { key: 'vcpu 0', vcpu: '0', values };
}

test('kinds and units come from the schema', () => {
  const schema = schemaOf('vcpu');
  assert.deepEqual(schema.get('exits')?.statistic, { name: 'exits', kind: 'total', isTime: false, length: 1 });
  assert.equal(schema.get('halt_wait_ns')?.statistic.isTime, true);
  assert.equal(schema.get('guest_mode')?.statistic.kind, 'current');
  assert.equal(schema.get('halt_wait_hist')?.statistic.kind, 'histogram');
  assert.equal(schemaOf('vm').get('max_mmu_rmap_size')?.statistic.kind, 'current');
});

test('values of each vCPU are in seconds and pieces', () => {
  const parts = parseStats(ANSWERS.vcpu, schemaOf('vcpu'));
  const cpus = parseCpus(ANSWERS.cpus);
  assert.deepEqual(
    parts.map(({ path, values }) => [
      cpus.get(path)?.index,
      findValue(values, 'exits'),
      findValue(values, 'guest_mode'),
    ]),
    [
      [1, 201_062, 0],
      [0, 84_986, 0],
    ],
  );
  assert.equal(findValue(parts[1]?.values ?? [], 'halt_wait_ns'), 4823080369 * 1e-9);
});

test('the histograms of this QEMU are recognised as mirrored, and turned round', () => {
  const [, { values } = { values: [] }] = parseStats(ANSWERS.vcpu, schemaOf('vcpu'));
  assert.equal(areMirrored([part(values)]), true);
  const turned = mirrored(part(values));
  assert.equal(areMirrored([turned]), false);
  // 688 waits of 4.82 s in all: most took 2^21 to 2^24 ns.
  const waits = findValue(turned.values, 'halt_wait_hist');
  assert.deepEqual(Array.isArray(waits) && waits.slice(17, 27), [8, 11, 12, 9, 36, 197, 224, 151, 35, 5]);
});

test('by default the statistics about exits, halts and memory are shown', () => {
  const names = [...schemaOf('vcpu', isShownByDefault).keys(), ...schemaOf('vm', isShownByDefault).keys()];
  assert.deepEqual(
    names.sort(),
    [
      'exits halt_attempted_poll halt_exits halt_poll_fail_hist halt_poll_fail_ns halt_poll_success_hist',
      'halt_poll_success_ns halt_successful_poll halt_wait_hist halt_wait_ns halt_wakeup hypercalls insn_emulation',
      'insn_emulation_fail io_exits irq_exits irq_window_exits mmio_exits nested_run nmi_window_exits',
      'notify_window_exits pages_1g pages_2m pages_4k request_irq_exits signal_exits',
    ]
      .join(' ')
      .split(' '),
  );
  // Names of arm64 and s390 (arch/*/kvm, Linux 6.12).
  for (const name of ['hvc_exit_stat', 'mmio_exit_kernel', 'exit_userspace', 'exit_null'])
    assert.ok(isShownByDefault(name), name);
  for (const name of ['diagnose_44', 'pf_fixed', 'mmu_flooded', 'instruction_sigp'])
    assert.ok(!isShownByDefault(name), name);
});

const stat = (fields: object) => ({ name: 'x', type: 'cumulative', exponent: 0, ...fields });
const schemasOf = (...stats: unknown[]) => [{ provider: 'kvm', target: 'vcpu', stats }];

for (const [what, answer] of [
  ['null', null],
  ['a text', 'x'],
  ['numbers', [1, 2]],
  ['another provider', [{ provider: 'cryptodev', target: 'vcpu', stats: [stat({})] }]],
  ['an unknown target', [{ provider: 'kvm', target: 'host', stats: [stat({})] }]],
] as const)
  test(`a schema that is ${what} has no statistics`, () => {
    assert.equal(parseSchemas(answer, all).size, 0);
  });

for (const [what, fields] of [
  ['a name with a line feed', { name: 'x\ny' }],
  ['a name of 100 characters', { name: 'x'.repeat(100) }],
  ['a number as its name', { name: 7 }],
  ['an unknown type', { type: 'linear-histogram' }],
  ['an exponent of 1000', { exponent: 1000 }],
  ['no exponent', { exponent: undefined }],
  ['a base of 7', { base: 7 }],
  ['a histogram without a unit', { type: 'log2-histogram' }],
] as const)
  test(`a statistic with ${what} is left out`, () => {
    assert.equal(schemaOf('vcpu', all, schemasOf(stat(fields))).size, 0);
  });

for (const value of [-1, 2 ** 64, Number.NaN, '5', null, {}, [1]])
  test(`a counter of ${JSON.stringify(value)} is left out`, () => {
    const answer = [{ provider: 'kvm', 'qom-path': '/a', stats: [{ name: 'x', value }] }];
    assert.deepEqual(parseStats(answer, schemaOf('vcpu', all, schemasOf(stat({})))), [{ path: '/a', values: [] }]);
  });

test('the number of statistics and of vCPUs is bounded', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => stat({ name: `s${index}` }));
  assert.equal(schemaOf('vcpu', all, schemasOf(...many)).size, 512);
  const cpus = Array.from({ length: 10_000 }, (_, index) => ({
    'cpu-index': index,
    'thread-id': 1,
    'qom-path': `/${index}`,
  }));
  assert.equal(parseCpus(cpus).size, 4096);
  const parts = Array.from({ length: 10_000 }, () => ({ provider: 'kvm', stats: [] }));
  assert.equal(parseStats(parts, schemaOf('vcpu', all, schemasOf(stat({})))).length, 4096);
});

test('a histogram with another number of counters is left out', () => {
  const schema = schemaOf('vcpu');
  const answer = (length: number) => [
    { provider: 'kvm', stats: [{ name: 'halt_wait_hist', value: new Array(length).fill(1) }] },
  ];
  assert.equal(parseStats(answer(31), schema)[0]?.values.length, 0);
  assert.equal(parseStats(answer(32), schema)[0]?.values.length, 1);
});
