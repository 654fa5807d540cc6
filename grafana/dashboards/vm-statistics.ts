/** The row of the VM dashboard that needs no tracing: KVM's own statistics. */

import { series, sumBy } from '../promql.js';
import { OF_VM, rate } from './dashboard.js';
import { graph, heatmap, type Panel } from './panels.js';

const total = (stat: string) => rate('kvm_stat_total', { ...OF_VM, stat });

export const statistics: Panel[] = [
  graph({
    title: 'Exits as KVM counts them, by vCPU',
    description:
      "KVM's own total, which needs no tracing and costs guests nothing. Empty vCPU: all vCPUs of the VM, where only debugfs shows the statistics.",
    unit: 'suffix: exits/s',
    width: 8,
    queries: [{ expr: sumBy(['vcpu'], total('exits')), legend: 'vCPU {{vcpu}}' }],
  }),
  graph({
    title: "KVM's own statistics, by name",
    description:
      "io_exits: port accesses. mmio_exits: accesses to device memory that went to QEMU. halt_exits: the guest was idle. irq_exits: interrupts of the host. insn_emulation: instructions that KVM had to emulate. Names are those of the host's kernel.",
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: `topk(15, ${sumBy(['stat'], `rate(${series('kvm_stat_total', OF_VM)}[$__rate_interval])`)})`,
        legend: '{{stat}}',
      },
    ],
  }),
  graph({
    title: 'Idle vCPUs: polling and sleeping',
    description:
      'Host CPUs that idle vCPUs used or would have used. halt_wait_ns: they slept. halt_poll_success_ns: they polled, and there was work. halt_poll_fail_ns: they polled in vain, which burns a host CPU for nothing.',
    unit: 'short',
    width: 8,
    queries: [{ expr: sumBy(['stat'], rate('kvm_stat_seconds_total', OF_VM)), legend: '{{stat}}' }],
  }),
  heatmap({
    title: 'How long idle vCPUs slept',
    description:
      'Durations of halt_wait, over QMP only. Many short ones: the guest is woken all the time, and halt polling may pay. Long ones: halt polling is wasted.',
    unit: 's',
    width: 12,
    query: sumBy(['le'], rate('kvm_stat_duration_seconds_bucket', { ...OF_VM, stat: 'halt_wait' })),
  }),
  graph({
    title: "Mapping of the guest's memory",
    description:
      'Pages in the second-level page table, by size. Mostly 4k: the guest gets no huge pages, and page faults and TLB misses cost more.',
    unit: 'short',
    width: 12,
    queries: [{ expr: sumBy(['stat'], series('kvm_stat_current', OF_VM)), legend: '{{stat}}' }],
  }),
];
