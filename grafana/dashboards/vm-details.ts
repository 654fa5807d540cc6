/** The lower rows of the VM's dashboard: causes, durations, addresses, eventfds, then and now. */

import { series, sumBy } from '../promql.js';
import { OF_VM, rate } from './dashboard.js';
import { graph, heatmap, matrix, type Panel, table } from './panels.js';

const LAYERS = [
  ['kvm', 'in KVM', 'from the exit to the next entry, without leaving the kernel'],
  ['qemu', 'in QEMU', 'from the return of KVM_RUN to the next entry'],
] as const;

const causes = rate('kvm_exit_causes_total', OF_VM);

export const why: Panel[] = [
  matrix({
    title: 'Hardware exits (down) and what QEMU was asked for (across)',
    description:
      'Each exit to QEMU by the hardware exit before it. io with KVM_EXIT_IO: ports. npf or EPT_MISCONFIG with KVM_EXIT_MMIO: device memory. none: QEMU came back with nothing run, as when it kicks a vCPU.',
    unit: 'cps',
    width: 12,
    rows: 'reason',
    columns: 'userspace_reason',
    query: { expr: sumBy(['reason', 'userspace_reason'], causes), legend: '' },
  }),
  graph({
    title: 'Causes over time',
    description: 'The same, as it changes. A cause that was not there before is what to look up in the runbooks.',
    unit: 'cps',
    width: 12,
    height: 9,
    queries: [
      {
        expr: `topk(10, ${sumBy(['reason', 'userspace_reason'], causes)})`,
        legend: '{{reason}} > {{userspace_reason}}',
      },
    ],
  }),
];

const duration = (part: string, layer: string) => rate(`kvm_exit_duration_seconds_${part}`, { ...OF_VM, layer });

export const durations: Panel[] = [
  ...LAYERS.map(([layer, where, from]) =>
    heatmap({
      title: `Durations ${where}`,
      description: `How long the vCPU was away, ${from}; darker: more exits. Each bucket is four times as long as the one below. Idle waiting (hlt) is in here too and fills the upper rows.`,
      unit: 's',
      width: 12,
      query: sumBy(['le'], duration('bucket', layer)),
    }),
  ),
  ...LAYERS.map(([layer, where, from]) =>
    graph({
      title: `Quantiles ${where}`,
      description: `Half, nine tenths and 99 of 100 exits took no longer than this, ${from}. Estimated within a bucket, so read it as an order of magnitude. A rising p99 with a still median: contention in QEMU or on the host.`,
      unit: 's',
      width: 8,
      queries: ['0.5', '0.9', '0.99'].map((quantile) => ({
        expr: `histogram_quantile(${quantile}, ${sumBy(['le'], duration('bucket', layer))})`,
        legend: `p${Number(quantile) * 100}`,
      })),
    }),
  ),
  table({
    title: 'Most time, by reason',
    description:
      'Seconds in a second that exits of this reason take, and how long one takes on average. Shows what is worth removing: a rare but slow exit can cost more than a frequent one.',
    unit: 'percentunit',
    width: 8,
    height: 8,
    sortBy: 'time',
    columns: [
      {
        expr: sumBy(['layer', 'reason'], rate('kvm_exit_duration_seconds_sum', OF_VM)),
        legend: 'time',
        unit: 'percentunit',
      },
      {
        expr: `${sumBy(['layer', 'reason'], rate('kvm_exit_duration_seconds_sum', OF_VM))} / (${sumBy(['layer', 'reason'], rate('kvm_exit_duration_seconds_count', OF_VM))} > 0)`,
        legend: 'each',
        unit: 's',
      },
    ],
  }),
];

const accesses = (layer: string) => rate('kvm_io_exits_total', { ...OF_VM, layer });
const ADDRESS = ['bus', 'direction', 'address', 'device'];

export const io: Panel[] = [
  table({
    title: 'Busiest ports and pages that QEMU serves',
    description:
      'Which address the guest touches when it ends up in QEMU, and the device that is usually there. rtc, acpi_pm, vga, serial, ide: see the runbooks for what to configure instead. "other": all addresses that are not among the busiest.',
    unit: 'cps',
    width: 12,
    sortBy: 'accesses',
    columns: [{ expr: `topk(20, ${sumBy(ADDRESS, accesses('qemu'))})`, legend: 'accesses', unit: 'cps' }],
  }),
  table({
    title: 'Busiest ports and pages that the kernel serves',
    description:
      'The same for what KVM answers itself: interrupt controllers, timers, and kicks that an ioeventfd takes. Cheap, but not free.',
    unit: 'cps',
    width: 12,
    sortBy: 'accesses',
    columns: [{ expr: `topk(20, ${sumBy(ADDRESS, accesses('kvm'))})`, legend: 'accesses', unit: 'cps' }],
  }),
  graph({
    title: 'Accesses that reach QEMU, by device',
    description:
      'Ports and pages by the device that is usually behind them. One device that dominates is the one to replace by virtio, or to switch off.',
    unit: 'cps',
    width: 24,
    stacked: true,
    queries: [{ expr: sumBy(['bus', 'device'], accesses('qemu')), legend: '{{bus}} {{device}}' }],
  }),
];

export const eventfds: Panel[] = [
  graph({
    title: 'Signals by eventfd',
    description:
      'ioeventfd: kicks that end in the kernel, no trip to QEMU. irqfd: interrupts injected without a vCPU leaving. seen_by: the kernel, or QEMU in its trace (one signal may be in both: do not add).',
    unit: 'cps',
    width: 12,
    queries: [
      {
        expr: sumBy(['kind', 'seen_by', 'device'], rate('kvm_eventfd_signals_total', OF_VM)),
        legend: '{{kind}} {{device}} seen by {{seen_by}}',
      },
    ],
  }),
  graph({
    title: 'Kicks by ioeventfd against accesses that reach QEMU',
    description:
      'Both are a guest talking to a device. With virtio and ioeventfd on, the upper should be the kicks. If kicks stop and accesses rise, ioeventfd or vhost went off.',
    unit: 'cps',
    width: 12,
    queries: [
      {
        expr: `sum(${rate('kvm_eventfd_signals_total', { ...OF_VM, kind: 'ioeventfd', seen_by: 'kvm' })})`,
        legend: 'kicks (stay in the kernel)',
      },
      { expr: `sum(${accesses('qemu')})`, legend: 'accesses (go to QEMU)' },
    ],
  }),
];

const toQemu = { ...OF_VM, layer: 'qemu' };
const then = (offset: string, by: string) =>
  `sum by (${by}) (rate(${series('kvm_exits_total', toQemu)}[$__rate_interval] offset ${offset}))`;
const at = (offset: string) => `sum(rate(${series('kvm_exits_total', toQemu)}[$__rate_interval] offset ${offset}))`;

export const change: Panel[] = [
  graph({
    title: 'Exits to QEMU: now, an hour ago, a week ago',
    description:
      'The same time of day on the same day of the week is the fairest comparison there is. Empty where the VM, or the agent, is younger.',
    unit: 'cps',
    width: 12,
    queries: [
      { expr: `sum(${rate('kvm_exits_total', toQemu)})`, legend: 'now' },
      { expr: at('1h'), legend: 'an hour ago' },
      { expr: at('1w'), legend: 'a week ago' },
    ],
  }),
  table({
    title: 'Exits to QEMU by reason, against an hour and a week ago',
    description:
      'How much more (or less) a second than then. The first line names what changed; the causes and addresses above say from where.',
    unit: 'cps',
    width: 12,
    height: 8,
    sortBy: 'now',
    columns: [
      { expr: sumBy(['reason'], rate('kvm_exits_total', toQemu)), legend: 'now', unit: 'cps' },
      {
        expr: `${sumBy(['reason'], rate('kvm_exits_total', toQemu))} - ${then('1h', 'reason')}`,
        legend: 'since an hour ago',
        unit: 'cps',
      },
      {
        expr: `${sumBy(['reason'], rate('kvm_exits_total', toQemu))} - ${then('1w', 'reason')}`,
        legend: 'since a week ago',
        unit: 'cps',
      },
    ],
  }),
];
