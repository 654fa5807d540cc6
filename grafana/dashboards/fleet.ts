/** The dashboard "KVM exits / Fleet": all hosts, and which host or VM to look at next. */

import { maxBy, series, sumBy } from '../promql.js';
import { recorded } from '../rules/recording-rules.js';
import { THRESHOLDS } from '../thresholds.js';
import { build, LINK_TO, OF_INSTANCES, UID } from './dashboard.js';
import { graph, type Panel, stat, table } from './panels.js';

/** Recorded series: rates of all hosts over a day take seconds to minutes without them. */
const name = recorded(THRESHOLDS.rateWindow);
const ofHosts = (recordedName: string) => sumBy(['instance'], series(recordedName, OF_INSTANCES));
/** Not a sum, as an agent may be in two jobs. */
const shareOf = (by: readonly string[], recordedName: string) => maxBy(by, series(recordedName, OF_INSTANCES));
const ofVms = (recordedName: string) => sumBy(['instance', 'vm'], series(recordedName, OF_INSTANCES));
const toKvm = series(name.instanceExits, { ...OF_INSTANCES, layer: 'kvm' });
const toQemu = series(name.instanceToQemu, OF_INSTANCES);
const vms = maxBy(['instance', 'vm'], series('kvm_vm_info', OF_INSTANCES));

const now: Panel[] = [
  stat({
    title: 'VMs',
    description: 'VMs that the chosen agents know: those that made an exit, and those whose process they found.',
    unit: 'none',
    width: 4,
    query: `count(${vms})`,
  }),
  stat({
    title: 'Exits to KVM',
    description:
      'How often per second a vCPU left its guest, all hosts together. The kernel handles most of these exits in about a microsecond.',
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
    title: 'Share reaching QEMU',
    description: 'Exits to QEMU per exit to KVM. Low with virtio, vhost and ioeventfd; high with emulated devices.',
    unit: 'percentunit',
    width: 4,
    limits: [0.2, THRESHOLDS.share.above],
    query: `sum(${toQemu}) / (sum(${toKvm}) > 0)`,
  }),
  stat({
    title: 'vCPUs lost to exits',
    description:
      'Time that vCPUs spend in KVM and QEMU instead of their guests. 1.0 is the whole time of one vCPU. Idle time and waits for a host CPU are not included.',
    unit: 'short',
    width: 4,
    query: `sum(${series(name.instanceTimeLost, OF_INSTANCES)})`,
  }),
  stat({
    title: 'Hosts losing events',
    description:
      'Hosts where events were overwritten before the agent read them. Their counts are too low. Normally none.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${ofHosts(name.instanceLost)} > 0) or vector(0)`,
  }),
];

const perHost: Panel[] = [
  graph({
    title: 'Exits to KVM, by host',
    description:
      'Guest to KVM. The normal rate depends on the work. Look for a host that differs from the rest, or for a sudden step.',
    unit: 'suffix: exits/s',
    width: 8,
    queries: [{ expr: sumBy(['instance'], toKvm), legend: '{{instance}}' }],
    link: { title: 'This host', url: LINK_TO.fleetOfSeries },
  }),
  graph({
    title: 'Exits to QEMU, by host',
    description: 'KVM to QEMU, the expensive leg: each exit switches to userspace and back, in tens of microseconds.',
    unit: 'suffix: exits/s',
    width: 8,
    queries: [{ expr: ofHosts(name.instanceToQemu), legend: '{{instance}}' }],
    link: { title: 'This host', url: LINK_TO.fleetOfSeries },
  }),
  graph({
    title: 'Share reaching QEMU, by host',
    description:
      'A step upwards with the same number of VMs means that QEMU now emulates something more, such as a timer, a disk or a display.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: shareOf(['instance'], name.instanceShare), legend: '{{instance}}' }],
    link: { title: 'This host', url: LINK_TO.fleetOfSeries },
  }),
];

const toVm = { column: 'vm', title: 'This VM', url: LINK_TO.vmOfRow };

const worst: Panel[] = [
  table({
    title: 'VMs, most exits to QEMU first',
    description:
      'Where to look first. A high rate with a high share means emulated devices. A high rate with a low share means a busy guest whose exits stay in the kernel. Click on a VM for its own dashboard.',
    unit: 'suffix: exits/s',
    width: 24,
    height: 10,
    sortBy: 'to QEMU',
    columns: [
      { expr: ofVms(name.toQemu), legend: 'to QEMU', unit: 'suffix: exits/s' },
      {
        expr: sumBy(['instance', 'vm'], series(name.vmExits, { ...OF_INSTANCES, layer: 'kvm' })),
        legend: 'to KVM',
        unit: 'suffix: exits/s',
      },
      { expr: shareOf(['instance', 'vm'], name.vmShare), legend: 'reaching QEMU', unit: 'percentunit' },
      { expr: ofVms(name.vmTimeLost), legend: 'vCPUs lost', unit: 'short' },
      { expr: maxBy(['instance', 'vm'], series('kvm_vm_vcpus', OF_INSTANCES)), legend: 'vCPUs', unit: 'none' },
      {
        expr: `time() - ${maxBy(['instance', 'vm'], series('kvm_vm_start_time_seconds', OF_INSTANCES))}`,
        legend: 'since its start',
        unit: 's',
      },
      {
        expr: `count by (instance, vm) (${maxBy(['instance', 'vm', 'advice'], series('kvm_vm_advice', OF_INSTANCES))})`,
        legend: 'findings',
        unit: 'none',
      },
    ],
    links: [toVm, { column: 'instance', title: 'This host', url: LINK_TO.fleetOfRow }],
  }),
  graph({
    title: 'Most exits to QEMU: ten VMs',
    description:
      'The ten highest VMs at each moment, so a VM that is not always among them has gaps. Click on a VM to see why.',
    unit: 'suffix: exits/s',
    width: 12,
    queries: [{ expr: `topk(10, ${series(name.toQemu, OF_INSTANCES)})`, legend: '{{vm}} on {{instance}}' }],
    link: { title: 'This VM', url: LINK_TO.vmOfSeries },
  }),
  graph({
    title: 'Most time lost to exits: ten VMs',
    description:
      'Time in KVM and in QEMU together, without idle time and waits for a host CPU. 1.0 is the whole time of one vCPU. Few but long exits show here and not on the left.',
    unit: 'short',
    width: 12,
    queries: [{ expr: `topk(10, ${series(name.vmTimeLost, OF_INSTANCES)})`, legend: '{{vm}} on {{instance}}' }],
    link: { title: 'This VM', url: LINK_TO.vmOfSeries },
  }),
];

const hosts: Panel[] = [
  table({
    title: 'Hosts',
    description:
      'One line per agent. Each event that it reads costs about a tenth of a microsecond of CPU. Click on a host for the health of its agent.',
    unit: 'suffix: exits/s',
    width: 12,
    sortBy: 'to QEMU',
    columns: [
      { expr: ofHosts(name.instanceToQemu), legend: 'to QEMU', unit: 'suffix: exits/s' },
      { expr: shareOf(['instance'], name.instanceShare), legend: 'reaching QEMU', unit: 'percentunit' },
      { expr: `count by (instance) (${vms})`, legend: 'VMs', unit: 'none' },
      {
        expr: ofHosts(name.instanceEvents),
        legend: 'events',
        unit: 'suffix:/s',
      },
    ],
    links: [{ column: 'instance', title: 'Its agent', url: LINK_TO.exporterOfRow }],
  }),
  graph({
    title: 'Events lost, by host',
    description:
      'Events per second that were overwritten before the agent read them. Normally empty. The counts of a host shown here are too low by this rate.',
    unit: 'suffix:/s',
    width: 12,
    height: 9,
    queries: [{ expr: `${ofHosts(name.instanceLost)} > 0`, legend: '{{instance}}' }],
    link: { title: 'Its agent', url: LINK_TO.exporterOfSeries },
  }),
];

export const fleet = build({
  uid: UID.fleet,
  title: 'KVM exits / Fleet',
  description:
    'How many VM exits reach QEMU, on which host, of which VM. layer kvm: guest to KVM; layer qemu: KVM to QEMU, the second leg of the same trip. Needs the recording rules of deploy/prometheus/rules.yml.',
  source: 'fleet.ts',
  rows: [
    { title: 'Now', panels: now },
    { title: 'Hosts side by side', panels: perHost },
    { title: 'VMs', panels: worst },
    { title: 'Hosts and their agents', panels: hosts },
  ],
});
