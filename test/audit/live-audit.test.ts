/** The audit of running VMs: which moments are compared, and what keeps them from being compared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumExits } from '../../src/audit/exit-sums.js';
import { type AuditMoment, LiveAudit, type LiveAuditRow } from '../../src/audit/live-audit.js';

interface Counts {
  readonly atMs: number;
  /** KVM's statistics. */
  readonly kvm: Readonly<Record<string, number>>;
  /** Our exits by hardware reason. */
  readonly ours: Readonly<Record<string, number>>;
  /** Our exits before KVM's statistics were read; default: `ours`. */
  readonly before?: Readonly<Record<string, number>>;
  readonly losses?: number;
  readonly hasExits?: boolean;
}

function moment({ atMs, kvm, ours, before = ours, losses = 0, hasExits = true }: Counts): AuditMoment {
  const countsOf = (exits: Readonly<Record<string, number>>) => {
    const rows = Object.entries(exits).map(([reason, count]) => ({ vm: 'a', layer: 'kvm', reason, count }));
    const [sums] = sumExits([...rows, { vm: 'a', layer: 'kvm', reason: '', count: 0 }]).values();
    assert.ok(sums !== undefined);
    return { exits: sums, losses };
  };
  return {
    atMs,
    kvm: new Map(Object.entries(kvm)),
    before: countsOf(before),
    after: countsOf(ours),
    traced: { kvm: hasExits, qemu: true },
  };
}

function audit(...moments: readonly Counts[]): Record<string, Pick<LiveAuditRow, 'outcome' | 'ratio'>> {
  const live = new LiveAudit();
  for (const each of moments) live.add('a', 'life 1', moment(each));
  return Object.fromEntries(live.rows().map(({ check, outcome, ratio }) => [check, { outcome, ratio }]));
}

const START: Counts = { atMs: 0, kvm: { exits: 7000, io_exits: 5000 }, ours: { io: 10, hlt: 5 } };

test('only what was counted between the moments is compared', () => {
  const rows = audit(START, { atMs: 60_000, kvm: { exits: 9000, io_exits: 6500 }, ours: { io: 1510, hlt: 505 } });
  assert.deepEqual(rows, {
    exits: { outcome: 'compared', ratio: 1 },
    io_exits: { outcome: 'compared', ratio: 1 },
  });
});

test('exits that are missing on our side show', () => {
  const rows = audit(START, { atMs: 60_000, kvm: { exits: 9000, io_exits: 6500 }, ours: { io: 10, hlt: 505 } });
  assert.deepEqual(rows, {
    exits: { outcome: 'compared', ratio: 0.25 },
    io_exits: { outcome: 'compared', ratio: 0 },
  });
});

// KVM counted 10,000 exits between two readings. We had 980 before the first one, and 1,000 after it.
for (const [what, before, after, result] of [
  ['9,980 to 10,020 exits', 10_980, 11_000, { outcome: 'compared', ratio: 1 }],
  ['10,000 to 10,040 exits', 11_000, 11_020, { outcome: 'compared', ratio: 1 }],
  ['9,960 to 10,000 exits', 10_960, 10_980, { outcome: 'compared', ratio: 1 }],
  ['11,000 to 11,040 exits', 12_000, 12_020, { outcome: 'compared', ratio: 1.1 }],
  ['8,960 to 9,000 exits', 9960, 9980, { outcome: 'compared', ratio: 0.9 }],
  ['9,950 to 10,070 exits, which is too wide', 10_950, 11_050, { outcome: 'uncertain', ratio: Number.NaN }],
  ['11,000 to 11,500 exits, which are too many anyway', 12_000, 12_480, { outcome: 'compared', ratio: 1.1 }],
] as const)
  test(`of 10,000 exits, readings that took time show ${what}`, () => {
    const first = { atMs: 0, kvm: { exits: 7000 }, before: { io: 980 }, ours: { io: 1000 } };
    const last = { atMs: 60_000, kvm: { exits: 17_000 }, before: { io: before }, ours: { io: after } };
    assert.deepEqual(audit(first, last), { exits: result });
  });

test('moments of five minutes ago are forgotten', () => {
  const wrongAtFirst = { atMs: 10_000, kvm: { exits: 20_000, io_exits: 18_000 }, ours: { io: 10, hlt: 5 } };
  const later = Array.from({ length: 31 }, (_, index) => ({
    atMs: 20_000 + index * 10_000,
    kvm: { exits: 21_000 + index * 100, io_exits: 19_000 + index * 100 },
    ours: { io: 1010 + index * 100, hlt: 5 },
  }));
  assert.equal(audit(START, wrongAtFirst, ...later).exits?.ratio, 1);
});

for (const [what, last, outcome] of [
  ['too little time', { atMs: 50_000, kvm: { exits: 9000 }, ours: { io: 10 } }, 'too_short'],
  ['events that were lost', { atMs: 60_000, kvm: { exits: 9000 }, ours: { io: 10 }, losses: 1 }, 'events_lost'],
  ['fewer than 500 exits', { atMs: 60_000, kvm: { exits: 7499 }, ours: { io: 10 } }, 'few_events'],
  [
    'a kernel without kvm_exit',
    { atMs: 60_000, kvm: { exits: 9000 }, ours: { io: 10 }, hasExits: false },
    'not_comparable',
  ],
  [
    'a statistic that stands still while exits happen',
    { atMs: 60_000, kvm: { exits: 7000 }, ours: { io: 9000 } },
    'not_comparable',
  ],
] as const)
  test(`${what} gives no ratio`, () => {
    const { exits } = audit({ atMs: 0, kvm: { exits: 7000 }, ours: {} }, last);
    assert.deepEqual(exits, { outcome, ratio: Number.NaN });
  });

test('a restart of the VM, and a statistic that was set to 0, begin a new comparison', () => {
  const live = new LiveAudit();
  live.add('a', 'life 1', moment(START));
  live.add('a', 'life 2', moment({ atMs: 60_000, kvm: { exits: 9000 }, ours: { io: 10 } }));
  assert.deepEqual(
    live.rows().map(({ outcome }) => outcome),
    ['too_short'],
  );
  live.add('a', 'life 2', moment({ atMs: 120_000, kvm: { exits: 5 }, ours: { io: 20 } }));
  assert.deepEqual(
    live.rows().map(({ outcome }) => outcome),
    ['too_short'],
  );
  live.keepOnly(new Set());
  assert.deepEqual(live.rows(), []);
});

test('exits that are counted in windows only are not compared; exits to userspace still are', () => {
  const sampled = new LiveAudit(true);
  for (const each of [
    { atMs: 0, kvm: { exits: 7000, io_exits: 100, mmio_exits: 0 }, ours: { io: 10 } },
    { atMs: 60_000, kvm: { exits: 17_000, io_exits: 9100, mmio_exits: 0 }, ours: { io: 300 } },
  ])
    sampled.add('a', 'life 1', moment(each));
  assert.deepEqual(
    sampled.rows().map(({ check, outcome, ratio }) => [check, outcome, ratio]),
    [
      ['exits', 'sampled', Number.NaN],
      ['io_exits', 'sampled', Number.NaN],
      ['mmio_exits', 'few_events', Number.NaN],
    ],
  );
});
