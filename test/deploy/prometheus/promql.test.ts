import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyOf, series, sumBy, sumWithout } from '../../../grafana/promql.js';

test('a series is written with its matchers', () => {
  assert.equal(
    series('kvm_exits_total', { layer: 'qemu', reason: anyOf('a', 'b'), job: 'x"y' }),
    'kvm_exits_total{layer="qemu",reason=~"a|b",job="x\\"y"}',
  );
  assert.equal(series('kvm_exit_duration_seconds_bucket', { le: '1' }), 'kvm_exit_duration_seconds_bucket{le="1"}');
});

for (const [what, ask] of [
  ['a metric', () => series('kvm_exits')],
  ['a label of a metric', () => series('kvm_exits_total', { device: 'ide' })],
  ['a histogram without its part', () => series('kvm_exit_duration_seconds')],
  ['a part of what is no histogram', () => series('kvm_vm_vcpus_sum')],
  ['a label to sum by', () => sumBy(['cpus'], 'x')],
  ['a label to sum without', () => sumWithout(['vcpus'], 'x')],
] as const)
  test(`${what} that the catalogue lacks is refused`, () => {
    assert.throws(ask, /no metric|no label/);
  });
