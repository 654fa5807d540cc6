/** The lower rows of the VM dashboard: causes, durations, addresses, eventfds, changes. */

import { anyOf, type Matchers, maxBy, series, sumBy } from '../promql.js';
import { OF_VM, rate } from './dashboard.js';
import { graph, heatmap, matrix, type Panel, table } from './panels.js';

const LAYERS = [
  ['kvm', 'in KVM', 'from the exit to the next entry, without leaving the kernel'],
  ['qemu', 'in QEMU', 'from the return of KVM_RUN to the next entry'],
] as const;

const causes = rate('kvm_exit_causes_total', OF_VM);

export const why: Panel[] = [
  matrix({
    title: 'Hardware exits (rows) and the exits to QEMU that they caused (columns)',
    description:
      'Exits to QEMU by the hardware exit before them. io with KVM_EXIT_IO: ports. npf or EPT_MISCONFIG with KVM_EXIT_MMIO: device memory. none: KVM_RUN returned before the guest ran, for example because QEMU kicked the vCPU.',
    unit: 'suffix: exits/s',
    width: 12,
    rows: 'reason',
    columns: 'userspace_reason',
    query: { expr: sumBy(['reason', 'userspace_reason'], causes), legend: '' },
  }),
  graph({
    title: 'Causes over time',
    description: 'The same over time. Look up a cause that is new in the runbooks.',
    unit: 'suffix: exits/s',
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
      description: `Time outside the guest, ${from}. Darker cells: more exits. Each bucket is four times as long as the one below. Idle waiting (hlt) is included and fills the upper rows.`,
      unit: 's',
      width: 12,
      query: sumBy(['le'], duration('bucket', layer)),
    }),
  ),
  ...LAYERS.map(([layer, where, from]) =>
    graph({
      title: `Quantiles ${where}`,
      description: `The time that 50 %, 90 % and 99 % of the exits did not exceed, ${from}. It is estimated within a bucket, so read it as an order of magnitude. A rising p99 with a steady median means contention in QEMU or on the host.`,
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
      'Share of time that exits of this reason take, and the average time of one exit. Shows which exits are worth removing: a rare but slow exit can cost more than a frequent one.',
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

const accesses = (layer: Matchers[string]) => rate('kvm_io_exits_total', { ...OF_VM, layer });
const ADDRESS = ['bus', 'direction', 'address', 'device'];

export const io: Panel[] = [
  table({
    title: 'Busiest ports and pages that QEMU serves',
    description:
      'Addresses whose accesses reach QEMU, and the device that is usually there. For rtc, acpi_pm, vga, serial and ide, the runbooks say what to configure instead. "other": all addresses that are not among the busiest.',
    unit: 'suffix: exits/s',
    width: 12,
    sortBy: 'accesses',
    columns: [{ expr: `topk(20, ${sumBy(ADDRESS, accesses('qemu'))})`, legend: 'accesses', unit: 'suffix: exits/s' }],
  }),
  table({
    title: 'Busiest ports and pages of the kernel, or of unknown layer',
    description:
      'Addresses that KVM answers by itself: interrupt controllers, timers, and kicks by ioeventfd. These accesses are cheap, but not free. layer unknown: the trace does not show who answered, as events around the access are missing.',
    unit: 'suffix: exits/s',
    width: 12,
    sortBy: 'accesses',
    columns: [
      {
        expr: `topk(20, ${sumBy(['layer', ...ADDRESS], accesses(anyOf('kvm', 'unknown')))})`,
        legend: 'accesses',
        unit: 'suffix: exits/s',
      },
    ],
  }),
  graph({
    title: 'Accesses that reach QEMU, by device',
    description:
      'Ports and pages by the device that is usually there. If one device dominates, replace it by virtio or switch it off.',
    unit: 'suffix: exits/s',
    width: 24,
    stacked: true,
    queries: [{ expr: sumBy(['bus', 'device'], accesses('qemu')), legend: '{{bus}} {{device}}' }],
  }),
];

const NEEDS_INDICES = 'Needs --collector.indices.';

export const indices: Panel[] = [
  graph({
    title: 'MSRs',
    description: `Reads and writes of model-specific registers that KVM handles. TSC_DEADLINE: the guest's timer. X2APIC_ICR: interrupts to other vCPUs. ${NEEDS_INDICES}`,
    unit: 'suffix: exits/s',
    width: 8,
    queries: [
      {
        expr: `topk(10, ${sumBy(['direction', 'msr'], rate('kvm_msr_exits_total', OF_VM))})`,
        legend: '{{direction}} {{msr}}',
      },
    ],
  }),
  graph({
    title: 'CPUID leaves and hypercalls',
    description: `Programs that ask for CPUID all the time pay for an exit each. Hypercalls are by interface: KVM, Hyper-V or Xen. ${NEEDS_INDICES}`,
    unit: 'suffix: exits/s',
    width: 8,
    queries: [
      { expr: `topk(5, ${sumBy(['leaf'], rate('kvm_cpuid_exits_total', OF_VM))})`, legend: 'CPUID {{leaf}}' },
      {
        expr: `topk(10, ${sumBy(['kind', 'number'], rate('kvm_hypercalls_total', OF_VM))})`,
        legend: '{{kind}} {{number}}',
      },
    ],
  }),
  graph({
    title: 'Page faults, by kind',
    description: `read, write, exec: the page was not mapped yet, as after a start. protected_write: dirty logging (migration), or memory shared between VMs. ${NEEDS_INDICES}`,
    unit: 'suffix:/s',
    width: 8,
    stacked: true,
    queries: [{ expr: sumBy(['kind'], rate('kvm_page_faults_total', OF_VM)), legend: '{{kind}}' }],
  }),
  graph({
    title: 'Exits of nested guests, by reason',
    description: `The guest runs a hypervisor, and these are the exits of its guests: part of the exits above. ${NEEDS_INDICES}`,
    unit: 'suffix: exits/s',
    width: 8,
    stacked: true,
    queries: [{ expr: `topk(10, ${sumBy(['reason'], rate('kvm_nested_exits_total', OF_VM))})`, legend: '{{reason}}' }],
  }),
  graph({
    title: 'Requests of encrypted guests, by reason',
    description: `What a guest with encrypted registers (SEV-ES, SEV-SNP) asks for; to the host, all of these are vmgexit. ${NEEDS_INDICES}`,
    unit: 'suffix: exits/s',
    width: 8,
    stacked: true,
    queries: [{ expr: `topk(10, ${sumBy(['reason'], rate('kvm_ghcb_exits_total', OF_VM))})`, legend: '{{reason}}' }],
  }),
  table({
    title: 'What keeps APICv or AVIC off',
    description: `Without the help of the hardware, interrupts cost exits. "now": 1 while the reason keeps it off. "changes": how often per second it begins to. ${NEEDS_INDICES}`,
    unit: 'none',
    width: 8,
    height: 8,
    sortBy: 'now',
    columns: [
      { expr: maxBy(['reason'], series('kvm_apicv_inhibited', OF_VM)), legend: 'now', unit: 'none' },
      { expr: sumBy(['reason'], rate('kvm_apicv_inhibits_total', OF_VM)), legend: 'changes', unit: 'suffix:/s' },
    ],
  }),
];

export const eventfds: Panel[] = [
  graph({
    title: 'Signals by eventfd',
    description:
      'ioeventfd: kicks that end in the kernel, without an exit to QEMU. irqfd: interrupts that another thread injects, without an exit to QEMU. seen_by: the kernel, or QEMU in its own trace. One signal can be in both, so do not add them.',
    unit: 'suffix:/s',
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
      'In both cases the guest signals a device. With virtio and ioeventfd on, there should be more kicks than accesses. If kicks stop and accesses rise, ioeventfd or vhost was switched off.',
    unit: 'suffix:/s',
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
const rateByAt = (offset: string, by: string) =>
  `sum by (${by}) (rate(${series('kvm_exits_total', toQemu)}[$__rate_interval] offset ${offset}))`;
const rateAt = (offset: string) => `sum(rate(${series('kvm_exits_total', toQemu)}[$__rate_interval] offset ${offset}))`;

export const change: Panel[] = [
  graph({
    title: 'Exits to QEMU: now, an hour ago, a week ago',
    description:
      'A week ago is the same time on the same day of the week, which is the fairest comparison. Empty if the VM or the agent is younger.',
    unit: 'suffix: exits/s',
    width: 12,
    queries: [
      { expr: `sum(${rate('kvm_exits_total', toQemu)})`, legend: 'now' },
      { expr: rateAt('1h'), legend: 'an hour ago' },
      { expr: rateAt('1w'), legend: 'a week ago' },
    ],
  }),
  table({
    title: 'Exits to QEMU by reason, against an hour and a week ago',
    description:
      'How many more (or fewer) exits per second than at that time. The first line names what changed; the causes and addresses above say where it comes from.',
    unit: 'suffix: exits/s',
    width: 12,
    height: 8,
    sortBy: 'now',
    columns: [
      { expr: sumBy(['reason'], rate('kvm_exits_total', toQemu)), legend: 'now', unit: 'suffix: exits/s' },
      {
        expr: `${sumBy(['reason'], rate('kvm_exits_total', toQemu))} - ${rateByAt('1h', 'reason')}`,
        legend: 'since an hour ago',
        unit: 'suffix: exits/s',
      },
      {
        expr: `${sumBy(['reason'], rate('kvm_exits_total', toQemu))} - ${rateByAt('1w', 'reason')}`,
        legend: 'since a week ago',
        unit: 'suffix: exits/s',
      },
    ],
  }),
];
