/** Output of a real virsh 9.0 (test/fixtures/qemu-stats), and lines that it does not print. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DomstatsReader } from '../../../src/decode/statistics/domstats.js';
import { readFixture } from '../../support/fixtures.js';

const TEXT = readFixture('qemu-stats/domstats-9.0.txt').toString();

function read(text: string, pieces = 1): Map<string, unknown> {
  const reader = new DomstatsReader(() => true);
  const size = Math.ceil(text.length / pieces);
  for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size));
  const flat = Array.from(reader.domains(), ([name, parts]) =>
    parts.flatMap(({ vcpu, values }) =>
      values.map(([{ name: stat, kind }, value]) => [`${name} ${vcpu} ${stat}`, [kind, value]] as const),
    ),
  ).flat();
  return new Map(flat);
}

test('statistics of vCPUs and of the VM are read, figures of libvirt itself are not', () => {
  const values = read(TEXT);
  const line = (key: string) => Number(new RegExp(`^ {2}${key}=(\\d+)$`, 'm').exec(TEXT)?.[1]);
  assert.deepEqual(values.get('lv-exact 0 exits'), ['total', line('vcpu.0.exits.sum')]);
  assert.deepEqual(values.get('lv-exact 0 halt_wait_ns'), ['total', line('vcpu.0.halt_wait_ns.sum') * 1e-9]);
  assert.deepEqual(values.get('lv-exact 0 blocking'), ['current', 0]);
  assert.deepEqual(values.get('lv-exact  mmu_cache_miss'), ['total', line('vm.mmu_cache_miss.sum')]);
  assert.deepEqual(values.get('lv-exact  pages_4k'), ['current', 0]);
  assert.equal(values.size, TEXT.match(/\.(sum|cur|max)=/g)?.length);
});

test('the size of the pieces does not matter', () => {
  assert.deepEqual(read(TEXT, 1000), read(TEXT));
});

test('a VM that makes up statistics, or repeats them, has a bounded number', () => {
  const reader = new DomstatsReader(() => true);
  reader.push("Domain: 'evil'\n");
  for (let n = 0; n < 5000; n++) reader.push(`  vcpu.0.made_up_${n}.sum=1\n  vcpu.1.exits.sum=${n}\n`);
  reader.push("Domain: 'web'\n  vcpu.0.exits.sum=7\n");
  const valuesOf = (name: string) =>
    reader
      .domains()
      .get(name)
      ?.map(({ values }) => values.length);
  assert.deepEqual([valuesOf('evil'), valuesOf('web')], [[256, 256], [1]]);
});

test('the values of all VMs together are bounded', () => {
  const reader = new DomstatsReader(() => true);
  for (let vm = 0; vm < 150; vm++) {
    reader.push(`Domain: 'vm-${vm}'\n`);
    for (let vcpu = 0; vcpu < 4000; vcpu++) reader.push(`  vcpu.${vcpu}.exits.sum=1\n`);
  }
  const parts = [...reader.domains().values()].flat();
  assert.equal(
    parts.reduce((sum, { values }) => sum + values.length, 0),
    500_000,
  );
});

test('of two domains with one name only the first has statistics', () => {
  assert.deepEqual(read("Domain: 'a'\n  vcpu.0.exits.sum=1\nDomain: 'a'\n  vcpu.0.exits.sum=2\n").get('a 0 exits'), [
    'total',
    1,
  ]);
});

for (const line of [
  'vcpu.0.exits.sum=1',
  '  vcpu.0.exits.sum=-1',
  '  vcpu.0.exits.sum=1e9',
  '  vcpu.0.ex its.sum=1',
  '  vcpu.9999.exits.sum=1',
  '  vcpu.0.exits.sum=123456789012345678901234',
  '  net.0.exits.sum=1',
])
  test(`${JSON.stringify(line)} is left out`, () => {
    assert.equal(read(`Domain: 'a'\n${line}\n`).size, 0);
  });
