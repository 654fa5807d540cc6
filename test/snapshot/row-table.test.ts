import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addCounts, cleared, kept, merged, RowTable, type VmRow } from '../../src/snapshot/tables/row-table.js';

interface Row extends VmRow {
  readonly vcpu: string;
  readonly layer: 'kvm' | 'qemu';
  readonly nameOfDevice: string;
  readonly count: number;
}

const OPTIONS = { rows: () => [], add: addCounts<Row>, metrics: [] };
const LABELS = { vcpu: merged('vcpu'), layer: kept('layer'), nameOfDevice: cleared('device') };
const METRIC = { name: 'm_total', help: 'm', otel: { name: 'm', unit: '1' }, type: 'counter' } as const;
const ROW: Row = { vm: 'a', vcpu: '0', layer: 'qemu', nameOfDevice: 'disk', count: 3 };

test('each text column must have a label, and nothing else may have one', () => {
  new RowTable<Row>({ ...OPTIONS, labels: LABELS });
  // @ts-expect-error: the column layer has no label.
  new RowTable<Row>({ ...OPTIONS, labels: { vcpu: merged('vcpu'), nameOfDevice: cleared('device') } });
  // @ts-expect-error: a layer has no value `other`.
  new RowTable<Row>({ ...OPTIONS, labels: { ...LABELS, layer: merged('layer') } });
  // @ts-expect-error: a count is a figure.
  new RowTable<Row>({ ...OPTIONS, labels: { vcpu: merged('vcpu'), layer: kept('layer'), count: kept('count') } });
  // @ts-expect-error: a text column may not be optional.
  new RowTable<VmRow & { pod?: string }>({ rows: () => [], add: (a) => a, metrics: [], labels: { pod: kept('pod') } });
});

test('an other row has nothing of a single row but the labels that are kept and the figures', () => {
  const table = new RowTable<Row>({ ...OPTIONS, labels: LABELS });
  const other: Row = { vm: 'other', vcpu: 'other', layer: 'qemu', nameOfDevice: '', count: 3 };
  assert.deepEqual(table.asOther(ROW, 'other'), other);
});

test('rows of a VM are summed into one other row if the labels are equal that it keeps', () => {
  const table = new RowTable<Row>({ ...OPTIONS, labels: LABELS });
  const sumOf = (row: Row) => JSON.stringify(table.asOther(row, 'other'));
  for (const change of [{}, { vcpu: '1' }, { nameOfDevice: 'nic' }, { layer: 'kvm' as const }]) {
    const row = { ...ROW, ...change };
    assert.equal(table.otherKeyOf(row) === table.otherKeyOf(ROW), sumOf(row) === sumOf(ROW), JSON.stringify(change));
  }
});

test('rows are equal if all their labels are', () => {
  const table = new RowTable<Row>({ ...OPTIONS, labels: LABELS });
  assert.equal(table.keyOf({ ...ROW, count: 4 }), table.keyOf(ROW));
  for (const change of [{ vm: 'b' }, { vcpu: '1' }, { layer: 'kvm' as const }, { nameOfDevice: '' }])
    assert.notEqual(table.keyOf({ ...ROW, ...change }), table.keyOf(ROW));
});

test('labels of a metric are vm, its columns by the names of their labels, and the label that splits it', () => {
  const plain = { ...METRIC, value: ({ count }: Row) => count };
  const narrow = { ...plain, columns: [] };
  const values = { whole: ({ count }: Row) => count, half: ({ count }: Row) => count / 2 };
  const { value: _, ...split } = { ...plain, split: { label: 'part', values } };
  const table = new RowTable<Row>({ ...OPTIONS, labels: LABELS, metrics: [plain, narrow, split] });
  assert.deepEqual(table.labelNamesOf(plain), ['vm', 'vcpu', 'layer', 'device']);
  assert.deepEqual(table.labelNamesOf(narrow), ['vm']);
  assert.deepEqual(table.labelNamesOf(split), ['vm', 'vcpu', 'layer', 'device', 'part']);
  assert.equal(table.seriesOf(ROW), 4);
  assert.equal(table.counted(ROW), 3 + 3 + 3 + 1.5);
});

test('a row has no series for a value that is not known', () => {
  const values = { known: ({ count }: Row) => count, unknown: () => undefined };
  const table = new RowTable<Row>({
    ...OPTIONS,
    labels: LABELS,
    metrics: [{ ...METRIC, split: { label: 'part', values } }],
  });
  assert.equal(table.seriesOf(ROW), 1);
  assert.equal(table.counted(ROW), 3);
});

test('a row of gauges has no figure that only grows', () => {
  const gauge = { ...METRIC, type: 'gauge', value: ({ count }: Row) => count } as const;
  assert.equal(new RowTable<Row>({ ...OPTIONS, labels: LABELS, metrics: [gauge] }).counted(ROW), undefined);
});
