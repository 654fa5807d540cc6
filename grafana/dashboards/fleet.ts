/** KVM exits / Fleet: all hosts, and which host or VM to look at next. */

import { maxBy, series, sumBy } from '../promql.js';
import { THRESHOLDS } from '../thresholds.js';
import { build, OF_INSTANCES, rate, TO, UID } from './dashboard.js';
import { graph, type Panel, stat, table } from './panels.js';

const exits = (layer: string) => rate('kvm_exits_total', { ...OF_INSTANCES, layer });
const outside = rate('kvm_vcpu_outside_guest_seconds_total', OF_INSTANCES);
const lost = rate('kvm_exit_exporter_lost_events_total', OF_INSTANCES);
const vms = maxBy(['instance', 'vm'], series('kvm_vm_info', OF_INSTANCES));

/** Exits to QEMU of each exit that KVM saw. */
function share(...by: string[]): string {
  return `${sumBy(by, exits('qemu'))} / (${sumBy(by, exits('kvm'))} > 0)`;
}

const now: Panel[] = [
  stat({
    title: 'VMs',
    description: 'VMs that the chosen agents know: those that made an exit, or whose process they found.',
    unit: 'none',
    width: 4,
    query: `count(${vms})`,
  }),
  stat({
    title: 'Exits to KVM',
    description:
      'Times a second that a vCPU left its guest, all hosts together. Most are handled in the kernel in about a microsecond.',
    unit: 'cps',
    width: 4,
    query: `sum(${exits('kvm')})`,
  }),
  stat({
    title: 'Exits to QEMU',
    description:
      'Times a second that KVM had to ask QEMU. It is the second leg of some of the exits to KVM, not a further kind of exit: do not add the two.',
    unit: 'cps',
    width: 4,
    query: `sum(${exits('qemu')})`,
  }),
  stat({
    title: 'Share reaching QEMU',
    description:
      'Exits to QEMU of 100 exits to KVM. With virtio, vhost and ioeventfd a few; with emulated devices most of them.',
    unit: 'percentunit',
    width: 4,
    limits: [0.2, THRESHOLDS.share.above],
    query: `sum(${exits('qemu')}) / sum(${exits('kvm')})`,
  }),
  stat({
    title: 'vCPUs lost to exits',
    description:
      'Time that vCPUs spend in KVM and QEMU instead of their guests, idle time apart. 1.0 = one whole vCPU does nothing else.',
    unit: 'short',
    width: 4,
    query: `sum(${outside})`,
  }),
  stat({
    title: 'Hosts losing events',
    description:
      'Hosts where events were overwritten before the agent read them: their counts are too low. Should be none.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${sumBy(['instance'], lost)} > 0) or vector(0)`,
  }),
];

const perHost: Panel[] = [
  graph({
    title: 'Exits to KVM, by host',
    description:
      'Guest to KVM. What a normal rate is depends on the work: look for a host that leaves the others, or a step in time.',
    unit: 'cps',
    width: 8,
    queries: [{ expr: sumBy(['instance'], exits('kvm')), legend: '{{instance}}' }],
    link: { title: 'This host', url: TO.fleetOfSeries },
  }),
  graph({
    title: 'Exits that go on to QEMU, by host',
    description: 'KVM to QEMU, the expensive leg: a switch to userspace and back for each, tens of microseconds.',
    unit: 'cps',
    width: 8,
    queries: [{ expr: sumBy(['instance'], exits('qemu')), legend: '{{instance}}' }],
    link: { title: 'This host', url: TO.fleetOfSeries },
  }),
  graph({
    title: 'Share reaching QEMU, by host',
    description:
      'A step upwards with the same number of VMs: something began to be emulated, such as a timer, a disk or a display.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: share('instance'), legend: '{{instance}}' }],
    link: { title: 'This host', url: TO.fleetOfSeries },
  }),
];

const toVm = { column: 'vm', title: 'This VM', url: TO.vmOfRow };

const worst: Panel[] = [
  table({
    title: 'VMs, those with most exits to QEMU first',
    description:
      'Where to look first. A high rate with a high share means emulated devices; a high rate with a low share, a busy guest whose exits stay in the kernel. Click on a VM for its own dashboard.',
    unit: 'cps',
    width: 24,
    height: 10,
    sortBy: 'to QEMU',
    columns: [
      { expr: sumBy(['instance', 'vm'], exits('qemu')), legend: 'to QEMU', unit: 'cps' },
      { expr: sumBy(['instance', 'vm'], exits('kvm')), legend: 'to KVM', unit: 'cps' },
      { expr: share('instance', 'vm'), legend: 'reaching QEMU', unit: 'percentunit' },
      { expr: sumBy(['instance', 'vm'], outside), legend: 'vCPUs lost', unit: 'short' },
      { expr: maxBy(['instance', 'vm'], series('kvm_vm_vcpus', OF_INSTANCES)), legend: 'vCPUs', unit: 'none' },
    ],
    links: [toVm, { column: 'instance', title: 'This host', url: TO.fleetOfRow }],
  }),
  graph({
    title: 'Most exits to QEMU: ten VMs',
    description: 'The ten highest at each moment, so a VM that comes and goes leaves gaps. Click on one to see why.',
    unit: 'cps',
    width: 12,
    queries: [{ expr: `topk(10, ${sumBy(['instance', 'vm'], exits('qemu'))})`, legend: '{{vm}} on {{instance}}' }],
    link: { title: 'This VM', url: TO.vmOfSeries },
  }),
  graph({
    title: 'Most time lost to exits: ten VMs',
    description:
      'vCPUs of time away from the guest, in KVM and in QEMU, idle time apart. These two layers are times and do add up. Few but long exits show here and not on the left.',
    unit: 'short',
    width: 12,
    queries: [{ expr: `topk(10, ${sumBy(['instance', 'vm'], outside)})`, legend: '{{vm}} on {{instance}}' }],
    link: { title: 'This VM', url: TO.vmOfSeries },
  }),
];

const hosts: Panel[] = [
  table({
    title: 'Hosts',
    description:
      'One line for each agent. Events/s is what it has to read; it costs about a tenth of a microsecond of CPU each. Click on a host for the health of its agent.',
    unit: 'cps',
    width: 12,
    sortBy: 'to QEMU',
    columns: [
      { expr: sumBy(['instance'], exits('qemu')), legend: 'to QEMU', unit: 'cps' },
      { expr: share('instance'), legend: 'reaching QEMU', unit: 'percentunit' },
      { expr: `count by (instance) (${vms})`, legend: 'VMs', unit: 'none' },
      {
        expr: sumBy(['instance'], rate('kvm_exit_exporter_events_total', OF_INSTANCES)),
        legend: 'events',
        unit: 'cps',
      },
    ],
    links: [{ column: 'instance', title: 'Its agent', url: TO.exporterOfRow }],
  }),
  graph({
    title: 'Events lost, by host',
    description:
      'Events a second that were overwritten before the agent read them. Nothing here is the best that can be. While a host is here, its counts are too low by this much.',
    unit: 'cps',
    width: 12,
    height: 9,
    queries: [{ expr: `${sumBy(['instance'], lost)} > 0`, legend: '{{instance}}' }],
    link: { title: 'Its agent', url: TO.exporterOfSeries },
  }),
];

export const fleet = build({
  uid: UID.fleet,
  title: 'KVM exits / Fleet',
  description:
    'How many VM exits end up in QEMU, on which host, of which VM. layer kvm: guest to KVM; layer qemu: KVM to QEMU, the second leg of the same trip. Made from kvm-exit-exporter.',
  rows: [
    { title: 'Now', panels: now },
    { title: 'Hosts side by side', panels: perHost },
    { title: 'VMs', panels: worst },
    { title: 'Hosts and their agents', panels: hosts },
  ],
});
