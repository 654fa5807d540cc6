/** Both formats of one snapshot, each read by its own parser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT } from '../../src/expose/text-format.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { parseMetrics } from '../support/prometheus/metrics-text.js';
import { parseOpenMetrics } from '../support/prometheus/open-metrics-text.js';

const VM = 'a"b\\c\nd';
const SNAPSHOT = {
  ...emptySnapshot(),
  exits: [{ vm: VM, vcpu: '0', layer: 'kvm' as const, reason: 'io', count: 12345678901 }],
  durations: [
    {
      vm: VM,
      layer: 'qemu' as const,
      reason: 'KVM_EXIT_IO',
      count: 12,
      sumSeconds: 0.00025,
      minSeconds: 0,
      maxSeconds: 0,
      p50Seconds: 0,
      p99Seconds: 0,
      buckets: Array.from({ length: 12 }, (_, i) => i),
      halfOctaves: [],
    },
  ],
  vms: [vmInfo({ vm: VM, pid: '7', vcpus: 3 })],
};

const view = () => new PrometheusView({ takeSnapshot: () => SNAPSHOT, version: '1.2.3' });

test('OpenMetrics has the families of the catalogue, counters without _total and with the unit that the name ends with', async () => {
  const families = parseOpenMetrics(await view().render(OPENMETRICS));
  for (const { name, type, help } of CATALOGUE) {
    const base = type === 'counter' ? name.slice(0, -'_total'.length) : name;
    const family = families.get(base);
    assert.deepEqual({ type: family?.type, help: family?.help }, { type, help }, base);
    assert.equal(family?.unit, base.endsWith('_seconds') ? 'seconds' : undefined, base);
  }
  assert.equal(families.get('kvm_exits')?.samples[0]?.name, 'kvm_exits_total');
  assert.deepEqual(Object.fromEntries(families.get('kvm_exits')?.samples[0]?.labels ?? []), {
    vm: VM,
    vcpu: '0',
    layer: 'kvm',
    reason: 'io',
  });
});

test('both formats have the same series with the same values', async () => {
  const key = ({ name, labels, value }: { name: string; labels: ReadonlyMap<string, string>; value: number }) =>
    JSON.stringify([name, [...labels], value]);
  // Memory and the time of the latest scrape differ from scrape to scrape.
  const isOurs = (line: string) => line.includes('"kvm_') && !/scrape_seconds|memory_bytes/.test(line);
  const ours = view();
  const text = [...parseMetrics(await ours.render(PROMETHEUS_TEXT)).values()].flatMap(({ samples }) =>
    samples.map(key),
  );
  const open = [...parseOpenMetrics(await ours.render(OPENMETRICS)).values()].flatMap(({ samples }) =>
    samples.map(key),
  );
  assert.ok(text.filter(isOurs).length > 15);
  assert.deepEqual(open.filter(isOurs), text.filter(isOurs));
});

test('a scrape in OpenMetrics does not change the names in the text format', async () => {
  const ours = view();
  await ours.render(OPENMETRICS);
  const names = [...parseMetrics(await ours.render(PROMETHEUS_TEXT)).keys()];
  for (const { name } of CATALOGUE) assert.ok(names.includes(name), name);
  assert.ok(names.includes('process_cpu_seconds_total'));
});

test('buckets have the labels that Prometheus 3 gives them, in both formats', async () => {
  const want = [
    '5e-07',
    '2e-06',
    '8e-06',
    '3.2e-05',
    '0.000128',
    '0.000512',
    '0.002048',
    '0.008192',
    '0.032768',
    '0.131072',
    '0.524288',
    '2.097152',
    '+Inf',
  ];
  for (const format of [PROMETHEUS_TEXT, OPENMETRICS]) {
    const lines = (await view().render(format))
      .split('\n')
      .filter((line) => line.startsWith('kvm_exit_duration_seconds_bucket'));
    assert.deepEqual(
      lines.map((line) => /le="([^"]+)"/.exec(line)?.[1]),
      want,
    );
  }
});

test('metrics of the process can be left out', async () => {
  const text = await new PrometheusView({ takeSnapshot: () => SNAPSHOT, version: '1', process: false }).render();
  const names = [...parseMetrics(text).keys()];
  assert.deepEqual(
    names.filter((name) => /^(?:process|nodejs)_/.test(name)),
    [],
  );
  assert.ok(names.includes('kvm_exit_exporter_build_info'));
});

test('edges of buckets are written as each format requires', () => {
  for (const format of [PROMETHEUS_TEXT, OPENMETRICS]) {
    assert.equal(format.le(Number.POSITIVE_INFINITY), '+Inf');
    assert.equal(format.le(2e22), '2e+22');
  }
  assert.deepEqual([PROMETHEUS_TEXT.le(5), OPENMETRICS.le(5)], ['5', '5.0']);
});

test('the OpenMetrics parser of these tests rejects invalid text', () => {
  const broken = [
    'a 1\n# EOF\n',
    '# TYPE a counter\na 1\n# EOF\n',
    '# TYPE a_total counter\na_total 1\n# EOF\n',
    '# TYPE a gauge\na 1\n',
    '# TYPE a gauge\na 1\n# EOF\nb 1\n',
    '# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n',
    '# TYPE a gauge\n\na 1\n# EOF\n',
    '# TYPE a gauge\n# HELP a the "x"\na 1\n# EOF\n',
    '# TYPE a counter\na_total -1\n# EOF\n',
    '# TYPE a histogram\na_bucket{le="5"} 1\n# EOF\n',
    '# TYPE a histogram\na_bucket{le="5e-7"} 1\n# EOF\n',
    '# TYPE a gauge\na{b="1"} 1\na{b="1"} 2\n# EOF\n',
  ];
  for (const text of broken) assert.throws(() => parseOpenMetrics(text), JSON.stringify(text));
});
