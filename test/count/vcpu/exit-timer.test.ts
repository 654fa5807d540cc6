import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { summarize } from '../../../src/count/counters/duration-histogram.js';
import { KernelCounts } from '../../../src/count/kernel-counts.js';
import type { ExitDurations } from '../../../src/count/vcpu/exit-durations.js';
import { ExitTimer, IDLE, INTERRUPTED } from '../../../src/count/vcpu/exit-timer.js';
import { KnownReasons } from '../../../src/count/vcpu/known-reasons.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

const IO = 1;
const HLT = 2;
const EXIT_IO = 3;
const EXIT_HLT = 4;
const RESTART = 5;
const KINDS = Uint8Array.from([0, 0, IDLE, 0, IDLE, INTERRUPTED]);
const SECOND = 1e9;

/** Paired exits as `layer reason: count nanoseconds`. */
function paired(exitTimer: ExitTimer): string[] {
  const format = (layer: string, durations: ExitDurations['kvm']) =>
    durations.flatMap((own, reason) =>
      own === undefined
        ? []
        : [`${layer} ${reason}: ${summarize(own).count} ${Math.round(summarize(own).sumSeconds * 1e9)}`],
    );
  return [...format('kvm', exitTimer.durations.kvm), ...format('qemu', exitTimer.durations.qemu)];
}

type Step = ['exit' | 'user', number, number] | ['entry', number] | ['lost'];

const ROWS: [name: string, steps: Step[], want: string[], rest: Partial<ExitTimer>][] = [
  [
    'an exit that KVM handles',
    [
      ['exit', 10, IO],
      ['entry', 15],
    ],
    ['kvm 1: 1 5'],
    { kvmNs: 5, qemuNs: 0 },
  ],
  [
    'an exit that goes on to userspace',
    [
      ['entry', 5],
      ['exit', 10, IO],
      ['user', 14, EXIT_IO],
      ['entry', 40],
    ],
    ['qemu 3: 1 26'],
    { kvmNs: 4, qemuNs: 26, forwarded: 1 },
  ],
  [
    'idling in KVM',
    [
      ['exit', 10, HLT],
      ['entry', 1000],
    ],
    ['kvm 2: 1 990'],
    { kvmNs: 0, idleNs: 990 },
  ],
  [
    'idling in userspace',
    [
      ['entry', 5],
      ['exit', 10, HLT],
      ['user', 20, EXIT_HLT],
      ['entry', 100],
    ],
    ['qemu 4: 1 80'],
    { idleNs: 90, kvmNs: 0, qemuNs: 0 },
  ],
  [
    'a vCPU that returns to userspace without entering the guest',
    [
      ['entry', 5],
      ['exit', 10, IO],
      ['user', 20, EXIT_IO],
      ['user', 50, EXIT_IO],
      ['entry', 60],
    ],
    ['qemu 3: 1 10'],
    { unpairedQemu: 1, qemuNs: 40 },
  ],
  [
    'an exit without an entry before the next',
    [
      ['exit', 10, IO],
      ['exit', 30, IO],
      ['entry', 35],
    ],
    ['kvm 1: 1 5'],
    { unpairedKvm: 1 },
  ],
  ['events lost in between', [['exit', 10, IO], ['lost'], ['entry', 35]], [], { unpairedKvm: 1, kvmNs: 0 }],
  ['events lost in userspace', [['user', 10, EXIT_IO], ['lost'], ['entry', 35]], [], { unpairedQemu: 1, qemuNs: 0 }],
  [
    'a clock that stepped back',
    [
      ['exit', 10, IO],
      ['entry', 5],
    ],
    [],
    { unpairedKvm: 1, kvmNs: 0 },
  ],
  [
    'a clock that does not count time',
    [
      ['exit', Number.NaN, IO],
      ['entry', Number.NaN],
    ],
    [],
    { unpairedKvm: 1, kvmNs: 0 },
  ],
  ['an entry alone', [['entry', 5]], [], { unpairedKvm: 0 }],
  [
    'nothing on a kernel that raises userspace exits alone',
    [
      ['user', 10, EXIT_IO],
      ['user', 3 * SECOND, EXIT_IO],
      ['user', 5 * SECOND, RESTART],
    ],
    [],
    { unpairedQemu: 2, kvmNs: 0, qemuNs: 0, idleNs: 0 },
  ],
  [
    'nothing on a kernel that raises no entries',
    [
      ['exit', 10, IO],
      ['user', SECOND, EXIT_IO],
      ['user', 3 * SECOND, EXIT_IO],
      ['exit', 4 * SECOND, IO],
      ['user', 5 * SECOND, EXIT_IO],
    ],
    [],
    { unpairedQemu: 2, kvmNs: 0, qemuNs: 0, idleNs: 0 },
  ],
  [
    'only what is proven on a kernel that raises an exit and an entry now and then',
    [
      ['user', 10, EXIT_IO],
      ['entry', 20],
      ['user', 3 * SECOND, EXIT_IO],
      ['user', 6 * SECOND, EXIT_IO],
      ['user', 9 * SECOND, EXIT_IO],
    ],
    ['qemu 3: 1 10'],
    { unpairedQemu: 2, kvmNs: 0, qemuNs: 10, idleNs: 0 },
  ],
  [
    'an idle guest after a signal, which waits in KVM again',
    [
      ['entry', 5],
      ['exit', 10, HLT],
      ['user', 30, RESTART],
      ['user', 100, RESTART],
      ['entry', 2 * SECOND],
    ],
    [],
    { unpairedQemu: 2, kvmNs: 0, qemuNs: 0, idleNs: 2 * SECOND - 10 },
  ],
  [
    'an interrupted vCPU whose VMM returns soon',
    [
      ['entry', 5],
      ['exit', 10, IO],
      ['user', 20, RESTART],
      ['entry', 50],
    ],
    ['qemu 5: 1 30'],
    { unpairedQemu: 0, kvmNs: 10, qemuNs: 30 },
  ],
  [
    'a VM that is paused: no time is lost to exits',
    [
      ['entry', 5],
      ['exit', 10, IO],
      ['user', 20, RESTART],
      ['entry', 60 * SECOND],
    ],
    [],
    { unpairedQemu: 1, kvmNs: 10, qemuNs: 0, idleNs: 0 },
  ],
];

for (const [name, steps, want, rest] of ROWS) {
  test(`ExitTimer measures ${name}`, () => {
    const exitTimer = new ExitTimer(KINDS);
    for (const step of steps) {
      if (step[0] !== 'lost') exitTimer.nowNs = step[1];
      if (step[0] === 'exit') exitTimer.exit(step[2]);
      else if (step[0] === 'user') exitTimer.userspaceExit(step[2]);
      else if (step[0] === 'entry') exitTimer.entry();
      else exitTimer.abandon();
    }
    assert.deepEqual(paired(exitTimer), want);
    for (const [key, value] of Object.entries(rest)) assert.equal(exitTimer[key as keyof ExitTimer], value, key);
  });
}

test('every exit is paired, forwarded, unpaired or still open', () => {
  const step = fc.tuple(fc.constantFrom('exit', 'user', 'entry', 'lost'), fc.integer({ min: -5, max: 100 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const exitTimer = new ExitTimer(KINDS);
      const seen = { exit: 0, user: 0, entry: 0, lost: 0 };
      let now = 0;
      for (const [what, wait] of steps) {
        now += wait;
        seen[what as keyof typeof seen]++;
        exitTimer.nowNs = now;
        if (what === 'exit') exitTimer.exit(IO);
        else if (what === 'user') exitTimer.userspaceExit(EXIT_IO);
        else if (what === 'entry') exitTimer.entry();
        else exitTimer.abandon();
      }
      const count = (durations: ExitDurations['kvm']) =>
        durations.reduce((sum, own) => sum + (own === undefined ? 0 : summarize(own).count), 0);
      assert.equal(
        count(exitTimer.durations.kvm) + exitTimer.forwarded + exitTimer.unpairedKvm + exitTimer.openKvm,
        seen.exit,
      );
      assert.equal(count(exitTimer.durations.qemu) + exitTimer.unpairedQemu + exitTimer.openQemu, seen.user);
      for (const own of [...exitTimer.durations.kvm, ...exitTimer.durations.qemu])
        if (own !== undefined) assert.ok(summarize(own).minSeconds >= 0);
    }),
  );
});

test('nothing is paired across closed buffers, and a gap that was open in them is over', () => {
  const vocabulary = newVocabulary();
  const reasons = new KnownReasons(vocabulary.reasons);
  const counts = new KernelCounts({
    collectors: { duration: true, causes: true, io: true, eventfd: true, indices: false },
    reasons,
  });
  const io = vocabulary.reasons.id('io');
  const exit = (timeNs: number) => counts.vmExit(timeNs, 0, 7, 0, io, 0);
  const entry = (timeNs: number) => counts.vmEntry(timeNs, 0, 7, 0);
  exit(10);
  counts.gapAhead(1); // and the CPU's further events are never read
  counts.endBuffers();
  entry(1000);
  exit(1010);
  entry(1030);
  const [vcpu] = counts.threads.vcpus();
  assert.ok(vcpu);
  assert.deepEqual(paired(vcpu.exitTimer), [`kvm ${io}: 1 20`]);
});

test('nothing is paired across a gap, on whichever CPU events were lost', () => {
  const vocabulary = newVocabulary();
  const reasons = new KnownReasons(vocabulary.reasons);
  const counts = new KernelCounts({
    collectors: { duration: true, causes: true, io: true, eventfd: true, indices: false },
    reasons,
  });
  const io = vocabulary.reasons.id('io');
  const exit = (timeNs: number, cpu: number) => counts.vmExit(timeNs, cpu, 7, 0, io, 0);
  const entry = (timeNs: number, cpu: number) => counts.vmEntry(timeNs, cpu, 7, 0);
  exit(10, 0);
  entry(20, 0);
  exit(30, 0); // open when the gap begins: its entry may be among what CPU 1 lost
  counts.gapAhead(1);
  entry(40, 0);
  exit(50, 0); // begins within the gap
  counts.lost(1, 3);
  entry(70, 1);
  exit(80, 1);
  entry(85, 1);
  const [vcpu] = counts.threads.vcpus();
  assert.ok(vcpu);
  assert.deepEqual(paired(vcpu.exitTimer), [`kvm ${io}: 2 15`]);
  assert.equal(vcpu.exitTimer.unpairedKvm, 2);
});

test('exits of an SEV-ES guest, and vCPUs that wait for their start, are idle', () => {
  const vocabulary = newVocabulary();
  const { kinds } = new KnownReasons(vocabulary.reasons);
  const idle = ['hlt', 'HLT', 'vmgexit', 'vmgexit_ap_hlt_loop', 'KVM_EXIT_AP_RESET_HOLD', 'KVM_EXIT_HLT', 'WFx'];
  for (const reason of idle) assert.equal(kinds[vocabulary.reasons.id(reason)], IDLE, reason);
  for (const reason of ['io', 'KVM_EXIT_IO']) assert.equal(kinds[vocabulary.reasons.id(reason)], 0, reason);
  assert.equal(kinds[vocabulary.reasons.id('restart')], INTERRUPTED);
});
