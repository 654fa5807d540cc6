/**
 * Recording rules. Alerts build on them, and they make queries over a month cheap. Their names have the form
 * level:metric:operations. The level lists the labels that are left besides those of the target (job, instance ...);
 * to keep the target's labels, all rules aggregate with `without`.
 */
import { anyOf, type Matchers, series, sumWithout, TO_QEMU } from '../promql.js';
import type { Thresholds } from '../thresholds.js';
import type { RuleGroup } from './rule-files.js';

/** Names of the recorded series. Most contain the window of their rates. */
export function recorded(window: string) {
  return {
    vcpuExits: `vcpu_layer:kvm_exits:rate${window}`,
    reasonExits: `vm_layer_reason:kvm_exits:rate${window}`,
    vmExits: `vm_layer:kvm_exits:rate${window}`,
    instanceExits: `instance_layer:kvm_exits:rate${window}`,
    vmShare: `vm:kvm_exits_reaching_qemu:ratio_rate${window}`,
    instanceShare: `instance:kvm_exits_reaching_qemu:ratio_rate${window}`,
    vcpuTimes: `vcpu_state:kvm_vcpu_seconds:rate${window}`,
    timeLost: `vcpu:kvm_vcpu_seconds_lost:rate${window}`,
    vmMeanDuration: `vm_layer:kvm_exit_duration_seconds:mean${window}`,
    toQemu: `vm:kvm_exits_to_qemu:rate${window}`,
    baseline: `vm:kvm_exits_to_qemu:rate${window}_median`,
    openInQemu: 'vm:kvm_exits_open_in_qemu:difference',
    waiting: 'vm:kvm_vcpus_waiting_for_qemu:sum',
  } as const;
}

export function recordingRules({ rateWindow, spike, stuck }: Thresholds): RuleGroup[] {
  const name = recorded(rateWindow);
  const exits = `rate(${series('kvm_exits_total')}[${rateWindow}])`;
  const times = `rate(${series('kvm_vcpu_seconds_total')}[${rateWindow}])`;
  const duration = (part: string) => `rate(${series(`kvm_exit_duration_seconds_${part}`)}[${rateWindow}])`;
  return [
    {
      name: 'kvm-exits.rates',
      rules: [
        { record: name.vcpuExits, expr: sumWithout(['reason'], exits) },
        { record: name.reasonExits, expr: sumWithout(['vcpu'], exits) },
        { record: name.vmExits, expr: sumWithout(['reason'], name.reasonExits) },
        { record: name.instanceExits, expr: sumWithout(['vm'], name.vmExits) },
        { record: name.vmShare, expr: share(name.reasonExits) },
        { record: name.instanceShare, expr: share(name.reasonExits, 'vm') },
        { record: name.vcpuTimes, expr: times },
        {
          record: name.timeLost,
          expr: sumWithout(['state'], series(name.vcpuTimes, { state: anyOf('kvm', 'qemu') })),
        },
        {
          record: name.vmMeanDuration,
          expr: `${sumWithout(['reason'], duration('sum'))}\n/\n(${sumWithout(['reason'], duration('count'))} > 0)`,
        },
        { record: name.openInQemu, expr: openInQemu() },
        // The lowest value within the window is that of a moment at which no vCPU waited. It is never above the present
        // one, so the result is never negative.
        { record: name.waiting, expr: `${name.openInQemu} - min_over_time(${name.openInQemu}[${stuck.memory}])` },
      ],
    },
    {
      name: 'kvm-exits.baselines',
      rules: [
        { record: name.toQemu, expr: sumWithout(['layer'], series(name.vmExits, { layer: 'qemu' })) },
        {
          record: name.baseline,
          // A few hours of trouble do not move the median; growth over days does.
          expr:
            `quantile_over_time(0.5, ${name.toQemu}[${spike.baselineWindow}] offset ${spike.baselineOffset})\n` +
            `and\n${name.toQemu} offset ${spike.minHistory}`,
        },
      ],
    },
  ];
}

/**
 * Share of exits that reach QEMU.
 * @param rates a recorded series with the labels `layer` and `reason`
 * @param labels further labels to add up
 */
function share(rates: string, ...labels: readonly string[]): string {
  const rateOf = (matchers: Matchers) => sumWithout([...labels, 'layer', 'reason'], series(rates, matchers));
  return `${rateOf(TO_QEMU)}\n/\n(${rateOf({ layer: 'kvm' })} > 0)`;
}

/**
 * Exits for a port or an MMIO page that are in QEMU now: such exits without a duration, minus the unpaired exits, which
 * never get one. Unpaired exits are not counted by reason, so those of other reasons are subtracted too: the result is
 * too low by a number that only grows, and often negative.
 */
function openInQemu(): string {
  const io = { layer: 'qemu', reason: anyOf('KVM_EXIT_IO', 'KVM_EXIT_MMIO') };
  return [
    sumWithout(['vcpu', 'reason'], series('kvm_exits_total', io)),
    '-',
    sumWithout(['reason'], series('kvm_exit_duration_seconds_count', io)),
    '-',
    series('kvm_exit_exporter_unpaired_exits_total', { layer: 'qemu' }),
  ].join('\n');
}
