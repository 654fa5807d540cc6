/**
 * Findings in synthetic traces in the kernel's own text, in which rate and duration of the exits are chosen, so that
 * the right cost is known. Each has a cured counterpart: the same VM with one in a hundred of these exits. Real VMs
 * have them in test/live/advice, where this machine or an emulated host can raise such exits.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { reportOf } from '../support/agent/run-agent.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TraceText } from '../support/trace/trace-text.js';

interface Example {
  readonly advice: string;
  /** Reason of the exit to KVM. */
  readonly reason: string;
  /** Reason of the exit to QEMU, with its number, if it goes on to QEMU: `KVM_EXIT_NOTIFY (37)`. */
  readonly toQemu?: string;
  /** Event that KVM raises while it handles the exit. */
  readonly event?: string;
  readonly perSecond: number;
  /** From the exit to the next entry. */
  readonly us: number;
  /** Event at the start of the trace. */
  readonly first?: string;
  /** True if the guest sleeps in them: they cost it nothing that is known. */
  readonly isIdle?: true;
}

const SECONDS = 2;
const TOLERANCE = 0.2;
const VCPU = { pid: 700 };
const CURED_PART = 0.01;
const PIT_REINJ = 'kvm_apicv_inhibit_changed: set reason=9, inhibits=0x200 PIT_REINJ';

/** Intel's reasons are in capitals, AMD's in small letters. */
const EXAMPLES: readonly Example[] = [
  ...['hlt', 'HLT'].map((reason) => ({
    advice: 'short-sleeps',
    reason,
    perSecond: 12_000,
    us: 50,
    isIdle: true as const,
  })),
  ...['pause', 'PAUSE_INSTRUCTION'].map((reason) => ({ advice: 'spinning-locks', reason, perSecond: 11_000, us: 12 })),
  ...['cpuid', 'CPUID'].map((reason) => ({ advice: 'cpuid-loop', reason, perSecond: 15_000, us: 3 })),
  ...['vmrun', 'VMRESUME', 'VMREAD'].map((reason) => ({
    advice: 'nested-hypervisor',
    reason,
    perSecond: 3000,
    us: 15,
  })),
  ...['AC excp', 'BUS_LOCK'].map((reason) => ({ advice: 'split-locks', reason, perSecond: 20, us: 10_000 })),
  { advice: 'split-locks', reason: 'BUS_LOCK', toQemu: 'KVM_EXIT_X86_BUS_LOCK (33)', perSecond: 20, us: 10_000 },
  ...['rdpmc', 'RDPMC'].map((reason) => ({ advice: 'guest-profiler', reason, perSecond: 5000, us: 4 })),
  { advice: 'guest-profiler', reason: 'MSR_READ', event: 'kvm_msr: msr_read c1 = 0x0', perSecond: 5000, us: 4 },
  { advice: 'guest-profiler', reason: 'msr', event: 'kvm_msr: msr_read c0010004 = 0x0', perSecond: 5000, us: 4 },
  { advice: 'rapl-in-guest', reason: 'MSR_READ', toQemu: 'KVM_EXIT_X86_RDMSR (29)', perSecond: 400, us: 60 },
  { advice: 'notify-exit', reason: 'NOTIFY', perSecond: 100, us: 200 },
  { advice: 'notify-exit', reason: 'NOTIFY', toQemu: 'UNKNOWN (37)', perSecond: 100, us: 300 },
  { advice: 'irqchip-in-qemu', reason: 'interrupt', toQemu: 'KVM_EXIT_IRQ_WINDOW_OPEN (7)', perSecond: 500, us: 40 },
  { advice: 'irqchip-in-qemu', reason: 'hlt', toQemu: 'KVM_EXIT_HLT (5)', perSecond: 500, us: 1500, isIdle: true },
  { advice: 'split-irqchip-eoi', reason: 'EOI_INDUCED', toQemu: 'KVM_EXIT_IOAPIC_EOI (26)', perSecond: 900, us: 40 },
  ...['avic_incomplete_ipi', 'APIC_WRITE'].map((reason) => ({
    advice: 'inter-processor-interrupts',
    reason,
    perSecond: 6000,
    us: 5,
  })),
  ...(['msr', 'MSR_WRITE'] as const).flatMap((reason) => [
    { advice: 'inter-processor-interrupts', reason, event: 'kvm_msr: msr_write 830 = 0xfd', perSecond: 6000, us: 5 },
    { advice: 'timer-deadline', reason, event: 'kvm_msr: msr_write 6e0 = 0x1234', perSecond: 6000, us: 5 },
  ]),
  ...['vintr', 'INTERRUPT_WINDOW'].map((reason) => ({
    advice: 'apicv-off',
    reason,
    first: PIT_REINJ,
    perSecond: 3000,
    us: 6,
  })),
  ...['interrupt', 'EXTERNAL_INTERRUPT'].map((reason) => ({
    advice: 'host-interrupts',
    reason,
    perSecond: 3000,
    us: 5,
  })),
  ...['write_cr8', 'TPR_BELOW_THRESHOLD'].map((reason) => ({ advice: 'tpr-access', reason, perSecond: 5000, us: 4 })),
  { advice: 'tpr-access', reason: 'APIC_ACCESS', toQemu: 'KVM_EXIT_TPR_ACCESS (12)', perSecond: 1500, us: 30 },
  ...['npf', 'EPT_VIOLATION'].map((reason) => ({ advice: 'page-faults', reason, perSecond: 6000, us: 20 })),
  {
    advice: 'nx-huge-pages',
    reason: 'EPT_VIOLATION',
    event: 'kvm_page_fault: vcpu 0 rip 0x0 address 0x1000 error_code 0x19c',
    perSecond: 4000,
    us: 4,
  },
  { advice: 'dirty-logging', reason: 'PML_FULL', perSecond: 200, us: 300 },
  { advice: 'dirty-ring-full', reason: 'npf', toQemu: 'UNKNOWN (31)', perSecond: 50, us: 4000 },
  { advice: 'slow-device-model', reason: 'io', toQemu: 'KVM_EXIT_IO (2)', perSecond: 40, us: 3000 },
];

/**
 * Exits of the example, and 400 exits per second to set a register that no rule is about.
 * @param showsReturns true if the recording has returns of KVM_RUN, which one exit to QEMU shows
 */
function traceOf({ reason, toQemu, event, us, first }: Example, perSecond: number, showsReturns = true): string {
  const text = new TraceText().entry(VCPU, 0);
  if (showsReturns) text.out(VCPU, 2, 0x80, 1, 3);
  if (first !== undefined) text.line(VCPU, 1, first);
  const count = Math.round(perSecond * SECONDS);
  if (count === 0) text.handled(VCPU, 20, 'msr', 1);
  const every = (SECONDS * 1e6) / count;
  let nextOther = 0;
  for (let index = 0; index < count; index++) {
    const at = Math.round(index * every) + 10;
    text.exit(VCPU, at, reason);
    if (event !== undefined) text.line(VCPU, at, event);
    if (toQemu !== undefined) text.line(VCPU, at + 1, `kvm_userspace_exit: reason ${toQemu}`);
    text.entry(VCPU, at + us);
    const isFree = at + us + 3 < (index + 1) * every;
    if (isFree && at > nextOther) {
      text.handled(VCPU, at + us + 1, 'msr', 1);
      nextOther = at + 2500;
    }
  }
  return text.entry(VCPU, SECONDS * 1e6).toString();
}

function findingsOf(t: TestContext, text: string) {
  const file = join(temporaryFolder(t, 'advice'), 'trace.txt');
  writeFileSync(file, text);
  const { findings, malformed } = reportOf(file);
  assert.deepEqual(malformed, {});
  return findings ?? [];
}

for (const example of EXAMPLES) {
  const { advice, reason, toQemu, event, perSecond, us, isIdle = false } = example;
  const what = [reason, toQemu, event].filter((word) => word !== undefined).join(', ');
  test(`${advice}: found with its cost in exits by ${what}, and not in a hundredth of them`, (t) => {
    const findings = findingsOf(t, traceOf(example, perSecond));
    const finding = findings.find((each) => each.advice === advice);
    assert.ok(finding !== undefined, `found: ${findings.map((each) => each.advice).join()}`);
    const cost = (perSecond * us) / 1e6;
    assert.ok(Math.abs(finding.per_second / perSecond - 1) < 0.02, `${finding.per_second}/s of ${perSecond}/s`);
    if (isIdle) assert.equal(finding.cost, null);
    else
      assert.ok(
        Math.abs((finding.cost ?? Number.NaN) / cost - 1) <= TOLERANCE,
        `costs ${finding.cost}, right is ${cost}`,
      );
    // One such exit is an attack already.
    const cured = findingsOf(t, traceOf(example, advice === 'notify-exit' ? 0 : perSecond * CURED_PART));
    assert.deepEqual(
      cured.map((each) => each.advice),
      [],
    );
  });
}

/** Rules about ports and memory, with the events of an access: before QEMU answers it, and after that. */
const ACCESSES: readonly (readonly [advice: string, before: string, after: string])[] = [
  ...(
    [
      ['rtc', 0x71],
      ['pit', 0x43],
      ['serial-console', 0x3f8],
      ['vga-text', 0x3d4],
      ['emulated-disk', 0x1f7],
      ['firmware-debug-output', 0x402],
      ['fw-cfg-by-port', 0x510],
      ['pci-config-by-port', 0xcf8],
      ['vmware-backdoor', 0x5658],
      ['ps2-polling', 0x60],
    ] as const
  ).map(
    ([advice, port]) => [advice, `kvm_pio: pio_write at 0x${port.toString(16)} size 1 count 1 val 0x1 `, ''] as const,
  ),
  ['acpi-pm-timer', '', 'kvm_pio: pio_read at 0x608 size 4 count 1 val 0x1 '],
  [
    'hpet',
    'kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfed000f0 val 0x0',
    'kvm_mmio: mmio read len 4 gpa 0xfed000f0 val 0x1',
  ],
];
const QEMU_US = 40;

for (const [advice, before, after] of ACCESSES)
  test(`${advice}: found with its cost in accesses, and not in a hundredth of them`, (t) => {
    const [exit, toQemu] = advice === 'hpet' ? ['npf', 'KVM_EXIT_MMIO (6)'] : ['io', 'KVM_EXIT_IO (2)'];
    const trace = (perSecond: number) => {
      const text = new TraceText().entry(VCPU, 0);
      for (let index = 0; index < perSecond * SECONDS; index++) {
        const at = Math.round((index * 1e6) / perSecond) + 10;
        text.exit(VCPU, at, exit);
        if (before !== '') text.line(VCPU, at, before);
        text.line(VCPU, at + 2, `kvm_userspace_exit: reason ${toQemu}`);
        if (after !== '') text.line(VCPU, at + 2 + QEMU_US, after);
        text.entry(VCPU, at + 2 + QEMU_US);
      }
      return text.entry(VCPU, SECONDS * 1e6).toString();
    };
    const [finding, ...more] = findingsOf(t, trace(1500));
    assert.deepEqual([finding?.advice, more.length], [advice, 0]);
    const cost = (1500 * QEMU_US) / 1e6;
    assert.ok(
      Math.abs((finding?.cost ?? Number.NaN) / cost - 1) <= TOLERANCE,
      `costs ${finding?.cost}, right is ${cost}`,
    );
    assert.deepEqual(findingsOf(t, trace(15)), []);
  });

/** Reasons that faults in memory share with accesses to devices. */
const FAULTS = ['npf', 'EPT_VIOLATION'];

for (const example of EXAMPLES.filter(({ toQemu }) => toQemu === undefined)) {
  const { advice, reason, event, perSecond, us, isIdle = false } = example;
  const hasCost = !FAULTS.includes(reason) && !isIdle;
  const what = [reason, event].filter((word) => word !== undefined).join(', ');
  test(`${advice}: without returns of KVM_RUN, exits by ${what} have ${hasCost ? 'the same' : 'no'} cost`, (t) => {
    const cost = findingsOf(t, traceOf(example, perSecond, false)).find((each) => each.advice === advice)?.cost;
    const right = (perSecond * us) / 1e6;
    if (hasCost) assert.ok(Math.abs((cost ?? Number.NaN) / right - 1) <= TOLERANCE, `costs ${cost}, right is ${right}`);
    else assert.ok(cost === undefined || cost === null, `costs ${cost}`);
    const cured = findingsOf(t, traceOf(example, advice === 'notify-exit' ? 0 : perSecond * CURED_PART, false));
    assert.deepEqual(
      cured.map((each) => each.advice),
      [],
    );
  });
}

/** arch/arm64/kvm/trace_arm.h */
function armTrace(exit: string, toQemu: boolean, perSecond: number): string {
  const text = new TraceText().line(VCPU, 0, 'kvm_entry: PC: 0x40080000');
  // An exit to QEMU shows that the recording has such exits.
  text.line(VCPU, 1, 'kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x40080000');
  text.line(VCPU, 2, 'kvm_userspace_exit: reason restart (4)').line(VCPU, 3, 'kvm_entry: PC: 0x40080000');
  for (let index = 0; index < perSecond * SECONDS; index++) {
    const at = Math.round((index * 1e6) / perSecond) + 10;
    text.line(VCPU, at, `kvm_exit: TRAP: ${exit}, PC: 0x40080000`);
    if (toQemu) text.line(VCPU, at + 1, 'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)');
    text.line(VCPU, at + 21, 'kvm_entry: PC: 0x40080000');
  }
  return text.line(VCPU, SECONDS * 1e6, 'kvm_entry: PC: 0x40080000').toString();
}

for (const [advice, exit, toQemu, us] of [
  ['arm64-emulated-device', 'HSR_EC: 0x0024 (DABT_LOW)', true, 20],
  ['arm64-inter-processor-interrupts', 'HSR_EC: 0x0018 (SYS64)', false, 21],
] as const)
  test(`${advice}: found with its cost, and not in a hundredth of the exits`, (t) => {
    const [finding, ...more] = findingsOf(t, armTrace(exit, toQemu, 6000));
    assert.deepEqual([finding?.advice, more.length], [advice, 0]);
    const cost = (6000 * us) / 1e6;
    assert.ok(
      Math.abs((finding?.cost ?? Number.NaN) / cost - 1) <= TOLERANCE,
      `costs ${finding?.cost}, right is ${cost}`,
    );
    assert.deepEqual(findingsOf(t, armTrace(exit, toQemu, 60)), []);
  });

test('kick-per-packet: found at its rate, without a cost, as KVM answers kicks itself; a tenth is no finding', (t) => {
  const kicks = (perSecond: number) => {
    const text = new TraceText().entry(VCPU, 0).out(VCPU, 2, 0x80, 1, 3);
    for (let index = 0; index < perSecond * SECONDS; index++) {
      const at = Math.round((index * 1e6) / perSecond) + 10;
      text
        .exit(VCPU, at, 'npf')
        .line(VCPU, at, 'kvm_fast_mmio: fast mmio at gpa 0xfe003000')
        .entry(VCPU, at + 2);
    }
    return text.entry(VCPU, SECONDS * 1e6).toString();
  };
  const [finding, ...more] = findingsOf(t, kicks(60_000));
  assert.deepEqual([finding?.advice, finding?.cost, more.length], ['kick-per-packet', null, 0]);
  assert.ok(Math.abs((finding?.per_second ?? 0) / 60_000 - 1) < 0.01);
  assert.deepEqual(findingsOf(t, kicks(6000)), []);
});
