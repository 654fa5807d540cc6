/**
 * Recording rules. Alerts build on them, and they make queries over a month cheap. Their names have the form
 * level:metric:operations. The level lists the labels that are left besides those of the target (job, instance ...);
 * to keep the target's labels, all rules aggregate with `without`.
 */
import { anyOf, series, sumWithout, TO_QEMU } from '../promql.js';
import type { Thresholds } from '../thresholds.js';
import type { RuleGroup } from './rule-files.js';

/** Names of the recorded series. Most contain the window of their rates. */
export function recorded(window: string) {
  return {
    vcpuExits: `vcpu:kvm_exits:rate${window}`,
    reasonExits: `vm_layer_reason:kvm_exits:rate${window}`,
    vmExits: `vm_layer:kvm_exits:rate${window}`,
    instanceExits: `instance_layer:kvm_exits:rate${window}`,
    toQemu: `vm:kvm_exits_to_qemu:rate${window}`,
    instanceToQemu: `instance:kvm_exits_to_qemu:rate${window}`,
    vmShare: `vm:kvm_exits_reaching_qemu:ratio_rate${window}`,
    instanceShare: `instance:kvm_exits_reaching_qemu:ratio_rate${window}`,
    timeLost: `vcpu:kvm_vcpu_seconds_lost:rate${window}`,
    vmTimeLost: `vm:kvm_vcpu_seconds_lost:rate${window}`,
    instanceTimeLost: `instance:kvm_vcpu_seconds_lost:rate${window}`,
    baseline: `vm:kvm_exits_to_qemu:rate${window}_median`,
    openInQemu: 'vm:kvm_exits_open_in_qemu:difference',
    waiting: 'vm:kvm_vcpus_waiting_for_qemu:sum',
    instanceEvents: `instance:kvm_exit_exporter_events:rate${window}`,
    instanceLost: `instance:kvm_exit_exporter_lost_events:rate${window}`,
  } as const;
}

export function recordingRules({ rateWindow, recordEvery, spike, stuck }: Thresholds): RuleGroup[] {
  const name = recorded(rateWindow);
  const exits = `rate(${series('kvm_exits_total')}[${rateWindow}])`;
  const lostTime = `rate(${series('kvm_vcpu_seconds_total', { state: anyOf('kvm', 'qemu') })}[${rateWindow}])`;
  const events = (kind: string) => `rate(${series(`kvm_exit_exporter_${kind}_total`)}[${rateWindow}])`;
  return [
    {
      name: 'kvm-exits.rates',
      interval: recordEvery,
      rules: [
        { record: name.vcpuExits, expr: sumWithout(['layer', 'reason'], exits) },
        { record: name.reasonExits, expr: sumWithout(['vcpu'], exits) },
        { record: name.vmExits, expr: sumWithout(['reason'], name.reasonExits) },
        { record: name.instanceExits, expr: sumWithout(['vm'], name.vmExits) },
        { record: name.toQemu, expr: sumWithout(['layer', 'reason'], series(name.reasonExits, TO_QEMU)) },
        { record: name.instanceToQemu, expr: sumWithout(['vm'], name.toQemu) },
        { record: name.vmShare, expr: share(name.toQemu, name.vmExits) },
        { record: name.instanceShare, expr: share(name.instanceToQemu, name.instanceExits) },
        { record: name.timeLost, expr: sumWithout(['state'], lostTime) },
        { record: name.vmTimeLost, expr: sumWithout(['vcpu'], name.timeLost) },
        { record: name.instanceTimeLost, expr: sumWithout(['vm'], name.vmTimeLost) },
        { record: name.openInQemu, expr: openInQemu() },
        // The lowest value within the window is that of a moment at which no vCPU waited. It is never above the present
        // one, so the result is never negative.
        { record: name.waiting, expr: `${name.openInQemu} - min_over_time(${name.openInQemu}[${stuck.memory}])` },
        { record: name.instanceEvents, expr: sumWithout(['source'], events('events')) },
        { record: name.instanceLost, expr: sumWithout(['source', 'cpu'], events('lost_events')) },
      ],
    },
    {
      name: 'kvm-exits.baselines',
      interval: recordEvery,
      rules: [
        {
          record: name.baseline,
          // A few hours of trouble do not move the median; growth over days does. One rate of each window is enough:
          // with all of them, the rule takes five times as long.
          expr:
            `quantile_over_time(0.5, ${name.toQemu}[${spike.baselineWindow}:${rateWindow}] offset ${spike.baselineOffset})\n` +
            `and\n${name.toQemu} offset ${spike.minHistory}`,
        },
      ],
    },
  ];
}

/**
 * Share of exits that reach QEMU.
 * @param toQemu a recorded series of exits to QEMU
 * @param exits a recorded series with the same labels, and `layer`
 */
function share(toQemu: string, exits: string): string {
  return `${toQemu}\n/\n(${sumWithout(['layer'], series(exits, { layer: 'kvm' }))} > 0)`;
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
