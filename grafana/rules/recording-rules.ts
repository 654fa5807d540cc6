/**
 * Recording rules: what alerts rest on, and what makes a query over a month cheap. Named level:metric:operations; the level
 * says which labels are left besides the target's own (job, instance ...), which is why everything aggregates with `without`.
 */
import { anyOf, series, sumWithout } from '../promql.js';
import type { Thresholds } from '../thresholds.js';
import type { RuleGroup } from './rule-files.js';

/** Names of what is recorded; the window is part of most. */
export function recorded(window: string) {
  return {
    vcpuExits: `vcpu_layer:kvm_exits:rate${window}`,
    reasonExits: `vm_layer_reason:kvm_exits:rate${window}`,
    vmExits: `vm_layer:kvm_exits:rate${window}`,
    instanceExits: `instance_layer:kvm_exits:rate${window}`,
    vmShare: `vm:kvm_exits_reaching_qemu:ratio_rate${window}`,
    instanceShare: `instance:kvm_exits_reaching_qemu:ratio_rate${window}`,
    outsideByLayer: `vcpu_layer:kvm_vcpu_outside_guest_seconds:rate${window}`,
    outside: `vcpu:kvm_vcpu_outside_guest_seconds:rate${window}`,
    vmMeanDuration: `vm_layer:kvm_exit_duration_seconds:mean${window}`,
    toQemu: `vm:kvm_exits_to_qemu:rate${window}`,
    baseline: `vm:kvm_exits_to_qemu:rate${window}_median`,
    waiting: 'vm:kvm_vcpus_waiting_for_qemu:sum',
  } as const;
}

export function recordingRules({ rateWindow, spike }: Thresholds): RuleGroup[] {
  const name = recorded(rateWindow);
  const exits = `rate(${series('kvm_exits_total')}[${rateWindow}])`;
  const outside = `rate(${series('kvm_vcpu_outside_guest_seconds_total')}[${rateWindow}])`;
  const duration = (part: string) => `rate(${series(`kvm_exit_duration_seconds_${part}`)}[${rateWindow}])`;
  return [
    {
      name: 'kvm-exits.rates',
      rules: [
        { record: name.vcpuExits, expr: sumWithout(['reason'], exits) },
        { record: name.reasonExits, expr: sumWithout(['vcpu'], exits) },
        { record: name.vmExits, expr: sumWithout(['reason'], name.reasonExits) },
        { record: name.instanceExits, expr: sumWithout(['vm'], name.vmExits) },
        { record: name.vmShare, expr: share(name.vmExits) },
        { record: name.instanceShare, expr: share(name.instanceExits) },
        { record: name.outsideByLayer, expr: outside },
        { record: name.outside, expr: sumWithout(['layer'], name.outsideByLayer) },
        {
          record: name.vmMeanDuration,
          expr: `${sumWithout(['reason'], duration('sum'))}\n/\n(${sumWithout(['reason'], duration('count'))} > 0)`,
        },
        { record: name.waiting, expr: waiting() },
      ],
    },
    {
      name: 'kvm-exits.baselines',
      rules: [
        { record: name.toQemu, expr: sumWithout(['layer'], series(name.vmExits, { layer: 'qemu' })) },
        {
          record: name.baseline,
          // The median: hours of trouble do not move it, a VM that grows over days does.
          expr:
            `quantile_over_time(0.5, ${name.toQemu}[${spike.baselineWindow}] offset ${spike.baselineOffset})\n` +
            `and\n${name.toQemu} offset ${spike.minHistory}`,
        },
      ],
    },
  ];
}

/** Of the exits in a layer-wise rate: the share that QEMU had to serve. The layers are two legs of one trip: divided, never added. */
function share(rates: string): string {
  const of = (layer: string) => sumWithout(['layer'], series(rates, { layer }));
  return `${of('qemu')}\n/\n(${of('kvm')} > 0)`;
}

/**
 * vCPUs that are in QEMU now, for a port or an MMIO page: exits that have neither a duration nor a reason to lack one. From
 * that, exits of other reasons that were never paired are taken off too, as nobody counts these by reason; so it
 * may be too low by a number that only ever grows, and is never too high. Who uses it compares it with its own past.
 */
function waiting(): string {
  const io = { layer: 'qemu', reason: anyOf('KVM_EXIT_IO', 'KVM_EXIT_MMIO') };
  return [
    sumWithout(['vcpu', 'reason'], series('kvm_exits_total', io)),
    '-',
    sumWithout(['reason'], series('kvm_exit_duration_seconds_count', io)),
    '-',
    series('kvm_exit_exporter_unpaired_exits_total', { layer: 'qemu' }),
  ].join('\n');
}
