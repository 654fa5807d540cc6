import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { ExitColumns, type ExitCount, ExitRows } from '../../src/snapshot/tables/exit-rows.js';
import { EXITS } from '../../src/snapshot/tables/exits.js';

const VCPUS = [
  { vm: 'a', vcpu: '0' },
  { vm: 'a', vcpu: '1' },
  { vm: 'b', vcpu: '' },
];
const REASONS = ['other', 'io', 'KVM_EXIT_IO'];

const addedRows = fc.array(
  fc.record({
    vcpu: fc.nat({ max: VCPUS.length - 1 }),
    layer: fc.constantFrom('kvm' as const, 'qemu' as const),
    reason: fc.nat({ max: REASONS.length - 1 }),
    count: fc.maxSafeNat(),
  }),
  { maxLength: 1000, size: 'max' },
);

test('ExitRows yields the rows that were added, each time it is read', () => {
  fc.assert(
    fc.property(addedRows, (rows) => {
      const columns = new ExitColumns();
      for (const { vcpu, layer, reason, count } of rows) columns.add(vcpu, layer, reason, count);
      const exits = new ExitRows(VCPUS, REASONS, columns);
      const want = rows.map(({ vcpu, layer, reason, count }) => ({
        ...VCPUS[vcpu],
        layer,
        reason: REASONS[reason],
        count,
      }));
      assert.equal(exits.length, want.length);
      assert.deepEqual([...exits], want);
      assert.deepEqual(
        exits.map((row) => row),
        want,
      );
      const isOdd = ({ count }: { readonly count: number }) => count % 2 === 1;
      assert.deepEqual(exits.filter(isOdd), want.filter(isOdd));
    }),
    { numRuns: 50 },
  );
});

test('relabelled() changes the labels and nothing else', () => {
  const columns = new ExitColumns();
  columns.add(2, 'qemu', 1, 5);
  const exits = new ExitRows(VCPUS, REASONS, columns);
  const upperCase: ExitCount[] = [{ vm: 'B', vcpu: '', layer: 'qemu', reason: 'IO', count: 5 }];
  assert.deepEqual([...exits.relabelled((label) => label.toUpperCase())], upperCase);
  assert.deepEqual([...exits], [{ vm: 'b', vcpu: '', layer: 'qemu', reason: 'io', count: 5 }]);
});

describe('what is asked of the columns', () => {
  const isChosen = (vm: string) => vm === 'a';
  const more: ExitCount[] = [
    { vm: 'a', vcpu: 'other', layer: 'kvm', reason: 'io', count: 7 },
    { vm: 'other', vcpu: 'other', layer: 'qemu', reason: 'new', count: 9 },
  ];
  const cases: readonly (readonly [
    what: string,
    ofRows: (rows: readonly ExitCount[]) => unknown,
    (rows: ExitRows) => unknown,
  ])[] = [
    ['sizes', (rows) => countsOf(rows.map(({ vm }) => vm)), (rows) => rows.sizes()],
    ['the rows of some VMs', (rows) => rows.filter(({ vm }) => isChosen(vm)), (rows) => [...rows.ofVms(isChosen)]],
    [
      'all rows of some VMs, and some rows of the other ones',
      (rows) => rows.filter(({ vm, count }) => isChosen(vm) || count > 5),
      (rows) => [...rows.keep(isChosen, ({ count }) => count > 5)],
    ],
    ['further rows', (rows) => [...rows, ...more], (rows) => [...rows.followedBy(more)]],
    [
      'the rows that other rows are summed into',
      (rows) => new Set(rows.map((row) => `${row.vm} ${EXITS.keyOf(EXITS.asOther(row, ''))}`)),
      (rows) => new Set(Array.from(rows.ofEachOther(), (row) => `${row.vm} ${EXITS.keyOf(EXITS.asOther(row, ''))}`)),
    ],
  ];
  for (const [what, ofRows, ofColumns] of cases)
    it(what, () => {
      fc.assert(
        fc.property(addedRows, (rows) => {
          const columns = new ExitColumns();
          for (const { vcpu, layer, reason, count } of rows) columns.add(vcpu, layer, reason, count);
          const exits = new ExitRows(VCPUS, REASONS, columns);
          assert.deepEqual(ofColumns(exits), ofRows([...exits]));
        }),
        { numRuns: 50 },
      );
    });
});

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
