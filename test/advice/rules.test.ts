/** Each rule, with exits that it is about. The rates are those of the sources that the rules name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { advise } from '../../src/advice/advise.js';
import { RULES } from '../../src/advice/rules.js';
import type { Workload } from '../../src/advice/workload.js';
import { ROOT } from '../support/paths.js';
import { accesses, kvmExits, qemuExits, workloadOf } from './example-workload.js';

const port = (address: number, device: string, perSecond: number) =>
  accesses({ bus: 'pio', address, device, perSecond });
const page = (address: number, device: string, perSecond: number) =>
  accesses({ bus: 'mmio', address, device, perSecond });

const msrs = (msr: string, perSecond: number): Partial<Workload> => ({
  msrs: [{ direction: 'write', msr, perSecond }],
  exits: [kvmExits('MSR_WRITE', perSecond)],
});

/** Rule -> exits that it is about. */
const EXAMPLES: Readonly<Record<string, Partial<Workload>>> = {
  'acpi-pm-timer': port(0x608, 'acpi_pm_timer', 1000),
  rtc: port(0x71, 'rtc', 500),
  hpet: page(0xfed00000, 'hpet', 500),
  pit: port(0x43, 'pit', 500),
  'serial-console': port(0x3f8, 'serial1', 1000),
  'vga-text': page(0xb8000, 'vga', 1000),
  'emulated-disk': port(0x1f7, 'ide1', 1000),
  'emulated-network-card': page(0xfebc0000, 'e1000-mmio', 1000),
  'virtio-kick-to-qemu': accesses({
    bus: 'mmio',
    direction: 'out',
    address: 0xfe003000,
    device: 'virtio-pci-notify-virtio-net',
    perSecond: 1000,
  }),
  'kick-per-packet': { ioeventfdPerSecond: 50_000, exits: [kvmExits('EPT_MISCONFIG', 50_000)] },
  'slow-device-model': { exits: [qemuExits('KVM_EXIT_MMIO', 20, 0.002)] },
  'arm64-emulated-device': { exits: [kvmExits('DABT_LOW', 1000), qemuExits('KVM_EXIT_MMIO', 1000)] },
  'firmware-debug-output': port(0x402, 'debugcon', 500),
  'fw-cfg-by-port': port(0x511, 'fw_cfg', 500),
  'pci-config-by-port': port(0xcfc, 'pci_config', 500),
  'short-sleeps': { exits: [kvmExits('hlt', 10_000, 0.0001)] },
  'spinning-locks': { exits: [kvmExits('PAUSE_INSTRUCTION', 10_000)] },
  'cpuid-loop': { exits: [kvmExits('CPUID', 10_000)] },
  'nested-hypervisor': { exits: [kvmExits('vmrun', 5000)] },
  'split-locks': { exits: [qemuExits('KVM_EXIT_X86_BUS_LOCK', 10)] },
  'guest-profiler': { exits: [kvmExits('RDPMC', 1000)] },
  'rapl-in-guest': { exits: [qemuExits('KVM_EXIT_X86_RDMSR', 100)] },
  'notify-exit': { exits: [qemuExits('KVM_EXIT_NOTIFY', 1)] },
  'usb-polling': port(0xc040, 'uhci', 100),
  'vmware-backdoor': port(0x5658, 'vmport', 100),
  'ps2-polling': port(0x64, 'i8042', 500),
  'irqchip-in-qemu': { exits: [qemuExits('KVM_EXIT_HLT', 100)] },
  'split-irqchip-eoi': { exits: [qemuExits('KVM_EXIT_IOAPIC_EOI', 500)] },
  'inter-processor-interrupts': { exits: [kvmExits('APIC_WRITE', 5000)] },
  'apicv-off': { isApicvOff: true, exits: [kvmExits('INTERRUPT_WINDOW', 2000)] },
  'timer-deadline': msrs('IA32_TSC_DEADLINE', 5000),
  'arm64-inter-processor-interrupts': { exits: [kvmExits('SYS64', 5000)] },
  'host-interrupts': { exits: [kvmExits('interrupt', 2000)] },
  'tpr-access': { exits: [kvmExits('TPR_BELOW_THRESHOLD', 1000)] },
  'page-faults': { exits: [kvmExits('EPT_VIOLATION', 5000, 0.00002)] },
  'nx-huge-pages': {
    pageFaults: [{ kind: 'protected_exec', perSecond: 500 }],
    exits: [kvmExits('EPT_VIOLATION', 800)],
  },
  'dirty-logging': { exits: [kvmExits('PML_FULL', 10)] },
  'dirty-ring-full': { exits: [qemuExits('KVM_EXIT_DIRTY_RING_FULL', 10)] },
  'waiting-for-cpu': { times: [{ kind: 'state', name: 'ready', vcpu: '0', perSecond: 0.1 }] },
  'halt-polling': { times: [{ kind: 'statistic', name: 'halt_poll_fail_ns', vcpu: '0', perSecond: 0.2 }] },
};

test('every rule has an example, and no example is of a rule that is gone', () => {
  assert.deepEqual(
    RULES.map(({ id }) => id),
    [...new Set(Object.keys(EXAMPLES))],
  );
});

test('the page about before and after says what shows each rule', () => {
  const page = readFileSync(join(ROOT, 'docs/advice/before-and-after.md'), 'utf8');
  const rows = page.slice(page.indexOf('## What shows each finding')).match(/^\| `[a-z0-9-]+` \| (?!\|)/gm) ?? [];
  assert.deepEqual(
    rows.map((row) => row.split('`')[1]),
    RULES.map(({ id }) => id),
  );
});

for (const [id, example] of Object.entries(EXAMPLES))
  test(`${id} is the only finding of its example`, () => {
    const findings = advise([workloadOf(example)], 60);
    assert.deepEqual(
      findings.map(({ rule }) => rule.id),
      [id],
    );
  });

test('a VM without exits, and one with virtio devices that is idle or busy, has no finding', () => {
  const tuned = [
    kvmExits('EPT_MISCONFIG', 3000, 0.000003),
    kvmExits('MSR_WRITE', 2000, 0.0000015),
    kvmExits('HLT', 1500, 0.0006),
    kvmExits('EXTERNAL_INTERRUPT', 900, 0.000002),
    kvmExits('EPT_VIOLATION', 20, 0.000004),
    qemuExits('KVM_EXIT_IO', 3, 0.00002),
  ];
  const rtc = { layer: 'qemu', bus: 'pio', direction: 'out', address: 0x70, device: 'rtc' } as const;
  const io = [{ ...rtc, perSecond: 3, meanSeconds: undefined }];
  assert.deepEqual(advise([workloadOf({}), workloadOf({ exits: tuned, io, ioeventfdPerSecond: 3000 })], 60), []);
});

test('every rule says who can change what, and where that is written', () => {
  for (const { id, changes, sources } of RULES) {
    assert.match(id, /^[a-z0-9-]+$/);
    assert.ok(Object.keys(changes).length > 0, id);
    assert.ok(sources.length > 0 && sources.every((source) => URL.canParse(source)), id);
  }
});

test('rules about interrupts and counters also know the registers that are used for them', () => {
  const idsOf = (example: Partial<Workload>) => advise([workloadOf(example)], 60).map(({ rule }) => rule.id);
  assert.deepEqual(idsOf(msrs('IA32_X2APIC_ICR', 5000)), ['inter-processor-interrupts']);
  assert.deepEqual(idsOf(msrs('IA32_PERF_GLOBAL_CTRL', 1000)), ['guest-profiler']);
  assert.deepEqual(idsOf(msrs('IA32_SPEC_CTRL', 50_000)), []);
  // Without the collector it is not known whether APICv is off.
  assert.deepEqual(idsOf({ exits: [kvmExits('INTERRUPT_WINDOW', 2000)] }), []);
});

test('a guest that uses the DMA of fw_cfg is not asked to use it', () => {
  // Its address register (QEMU, docs/specs/fw_cfg.rst) is part of the same device.
  const findings = advise([workloadOf(port(0x518, 'fw_cfg', 5000))], 60);
  assert.deepEqual(
    findings.map(({ rule }) => rule.id),
    [],
  );
});

test('accesses to a local APIC in QEMU are part of what QEMU as interrupt controller costs', () => {
  const [finding] = advise(
    [
      workloadOf({
        ...page(0xfee00000, 'lapic', 900),
        exits: [qemuExits('KVM_EXIT_MMIO', 900, 0.00003), qemuExits('KVM_EXIT_HLT', 400, 0.002)],
      }),
    ],
    60,
  );
  assert.deepEqual([finding?.rule.id, finding?.load.perSecond], ['irqchip-in-qemu', 1300]);
  // Without the sleep in HLT: 900 times 30 us in each second.
  assert.equal(finding?.load.cost?.toFixed(6), '0.027000');
});

test('the cost of accesses to a register is that of a mean exit for registers', () => {
  const [finding] = advise(
    [
      workloadOf({
        msrs: [{ direction: 'write', msr: 'IA32_TSC_DEADLINE', perSecond: 20_000 }],
        exits: [kvmExits('MSR_WRITE', 40_000, 0.000002)],
      }),
    ],
    60,
  );
  assert.equal(finding?.load.cost, 20_000 * 0.000002);
  assert.equal(finding?.load.mainly, 'IA32_TSC_DEADLINE');
});
