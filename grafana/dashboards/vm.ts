/** The dashboard "KVM exits / VM": one VM, from the number of exits to their causes. */

import { anyOf, maxBy, series, sumBy, TO_QEMU } from '../promql.js';
import { THRESHOLDS } from '../thresholds.js';
import { build, OF_VM, rate, UID } from './dashboard.js';
import { graph, type Panel, stat, table } from './panels.js';
import { change, durations, eventfds, indices, io, why } from './vm-details.js';
import { statistics } from './vm-statistics.js';

const toKvm = rate('kvm_exits_total', { ...OF_VM, layer: 'kvm' });
const toQemu = rate('kvm_exits_total', { ...OF_VM, ...TO_QEMU });
const time = (...states: string[]) => rate('kvm_vcpu_seconds_total', { ...OF_VM, state: anyOf(...states) });

const glance: Panel[] = [
  stat({
    title: 'Share reaching QEMU',
    description: 'Exits to QEMU per exit to KVM. Low with virtio, vhost and ioeventfd; high with emulated devices.',
    unit: 'percentunit',
    width: 4,
    limits: [0.2, THRESHOLDS.share.above],
    query: `sum(${toQemu}) / (sum(${toKvm}) > 0)`,
  }),
  stat({
    title: 'Exits to KVM',
    description: 'How often per second a vCPU of this VM left its guest.',
    unit: 'suffix: exits/s',
    width: 4,
    query: `sum(${toKvm})`,
  }),
  stat({
    title: 'Exits to QEMU',
    description:
      'How often per second KVM had to ask QEMU. These are the second leg of some of the exits to KVM, so do not add the two.',
    unit: 'suffix: exits/s',
    width: 4,
    query: `sum(${toQemu})`,
  }),
  stat({
    title: 'Time lost by the worst vCPU',
    description:
      'Share of time that a vCPU spends in KVM and QEMU instead of its guest: the highest of all vCPUs. Idle time and waits for a host CPU are not included.',
    unit: 'percentunit',
    width: 4,
    limits: [THRESHOLDS.timeLost.warning.above, THRESHOLDS.timeLost.critical.above],
    query: `max(${sumBy(['instance', 'vcpu'], time('kvm', 'qemu'))})`,
  }),
  table({
    title: 'Identity',
    description:
      "The VM's uuid, process and VMM, and its pod in Kubernetes (the pod's name only with --kubernetes). demo=true: replayed from a recording, not a VM of this host.",
    unit: 'none',
    width: 8,
    height: 4,
    sortBy: 'vCPUs',
    columns: [
      {
        expr: `max by (instance, uuid, pid, vmm, namespace, pod, vmi, demo) (${series('kvm_vm_info', OF_VM)} * on (job, instance, vm) group_left () ${series('kvm_vm_vcpus', OF_VM)})`,
        legend: 'vCPUs',
        unit: 'none',
      },
    ],
  }),
];

const advice: Panel[] = [
  table({
    title: 'Findings',
    description:
      'What the VM does too often, by name of the page in docs/advice, and the share of a vCPU that it costs (empty where durations are not known). /api/advice of the agent says which setting ends it. Normally empty.',
    unit: 'percentunit',
    width: 24,
    height: 5,
    sortBy: 'costs',
    columns: [
      {
        expr: maxBy(['instance', 'advice', 'severity'], series('kvm_vm_advice', OF_VM)),
        legend: 'costs',
        unit: 'percentunit',
      },
    ],
  }),
];

const byReason: Panel[] = [
  graph({
    title: 'Guest to KVM, by reason',
    description:
      'Why the CPU left the guest, by the name of the hardware (VMX in capitals, SVM in lower case). io, npf and EPT_MISCONFIG lead to devices, interrupt comes from the host, hlt means an idle guest.',
    unit: 'suffix: exits/s',
    width: 12,
    height: 10,
    stacked: true,
    queries: [{ expr: sumBy(['reason'], toKvm), legend: '{{reason}}' }],
  }),
  graph({
    title: 'KVM to QEMU, by reason',
    description:
      'Why KVM_RUN returned to QEMU. KVM_EXIT_IO: a port. KVM_EXIT_MMIO: a page of a device that QEMU emulates. restart: a signal, usually because QEMU needs the vCPU.',
    unit: 'suffix: exits/s',
    width: 12,
    height: 10,
    stacked: true,
    queries: [{ expr: sumBy(['reason'], rate('kvm_exits_total', { ...OF_VM, layer: 'qemu' })), legend: '{{reason}}' }],
  }),
];

const perVcpu: Panel[] = [
  graph({
    title: 'Exits to QEMU, by vCPU',
    description:
      'If one vCPU is far above the rest, interrupts or a driver are tied to it. If all are alike, every vCPU polls something, a clock for example.',
    unit: 'suffix: exits/s',
    width: 8,
    queries: [{ expr: sumBy(['vcpu'], toQemu), legend: 'vCPU {{vcpu}}' }],
  }),
  graph({
    title: 'Share reaching QEMU, by vCPU',
    description: 'Exits to QEMU per exit to KVM of the same vCPU.',
    unit: 'percentunit',
    width: 8,
    queries: [
      {
        expr: `${sumBy(['vcpu'], toQemu)} / (${sumBy(['vcpu'], toKvm)} > 0)`,
        legend: 'vCPU {{vcpu}}',
      },
    ],
  }),
  graph({
    title: 'Where the time of the vCPUs goes',
    description:
      'vCPUs by state, all of them together: the sum is their number. guest: the guest runs. kvm: in KVM, also on the way to QEMU. qemu: in QEMU. ready: waits for a host CPU. idle: the guest has nothing to do. unknown: nothing shows where the vCPU was, for example because the VM is paused.',
    unit: 'short',
    width: 8,
    stacked: true,
    queries: [{ expr: sumBy(['state'], rate('kvm_vcpu_seconds_total', OF_VM)), legend: '{{state}}' }],
  }),
  graph({
    title: 'Time lost to exits, by vCPU',
    description: 'Share of time in KVM and in QEMU. Idle time and waits for a host CPU are not included.',
    unit: 'percentunit',
    width: 8,
    queries: [
      { expr: sumBy(['vcpu'], time('qemu')), legend: 'vCPU {{vcpu}} in QEMU' },
      { expr: sumBy(['vcpu'], time('kvm')), legend: 'vCPU {{vcpu}} in KVM' },
    ],
  }),
  graph({
    title: 'Waiting for a host CPU, by vCPU',
    description:
      'Share of time in which the vCPU could run, but another thread had its host CPU, or the CPU quota of the VM was used up.',
    unit: 'percentunit',
    width: 8,
    max: 1,
    queries: [{ expr: sumBy(['vcpu'], time('ready')), legend: 'vCPU {{vcpu}}' }],
  }),
  graph({
    title: "QEMU's own trace events",
    description:
      "Events of QEMU's own trace, if the agent reads it. kvm_run_exit is QEMU's count of exits to QEMU without restart and error; it should equal the kernel's.",
    unit: 'suffix:/s',
    width: 8,
    queries: [{ expr: `topk(10, ${sumBy(['event'], rate('qemu_trace_events_total', OF_VM))})`, legend: '{{event}}' }],
  }),
];

export const vm = build({
  uid: UID.vm,
  title: 'KVM exits / VM',
  description:
    'One VM: which exits it makes, how many reach QEMU, what causes them, what they cost. layer kvm: guest to KVM; layer qemu: KVM to QEMU, the second leg of the same trip.',
  source: 'vm.ts',
  ofOneVm: true,
  rows: [
    { title: 'At a glance', panels: glance },
    { title: 'What to change', panels: advice },
    { title: 'Both layers side by side', panels: byReason },
    { title: 'vCPUs', panels: perVcpu },
    { title: 'What leads to QEMU', panels: why },
    { title: 'How long exits take', panels: durations },
    { title: 'Ports, pages and devices', panels: io },
    { title: 'MSRs, CPUID, hypercalls, page faults and nested guests (--collector.indices)', panels: indices },
    { title: 'Signals without an exit to QEMU: ioeventfd and irqfd', panels: eventfds },
    { title: "KVM's own statistics, with or without tracing", panels: statistics },
    { title: 'What changed', panels: change },
  ],
});
