/** What wakes somebody. Each alert has a runbook of its name in deploy/runbooks; a test holds the two together. */

import { anyOf, series, sumWithout } from '../promql.js';
import { RUNBOOKS, type Thresholds } from '../thresholds.js';
import { exporterAlerts } from './exporter-alerts.js';
import { recorded } from './recording-rules.js';
import type { AlertRule, RuleGroup } from './rule-files.js';

const OF_VM = 'VM {{ $labels.vm }} on {{ $labels.instance }}';

export function alerts(thresholds: Thresholds): RuleGroup[] {
  const vm = [
    ...spikes(thresholds),
    highShare(thresholds),
    ...storms(thresholds),
    ...fatalExits(thresholds),
    stuck(thresholds),
    ...timeLost(thresholds),
  ];
  return [
    { name: 'kvm-exits.alerts', rules: vm.map(withRunbook) },
    { name: 'kvm-exit-exporter.alerts', rules: exporterAlerts(thresholds).map(withRunbook) },
  ];
}

function withRunbook(rule: AlertRule): AlertRule {
  return { ...rule, annotations: { ...rule.annotations, runbook_url: `${RUNBOOKS}/${rule.alert}.md` } };
}

function spikes({ rateWindow, spike }: Thresholds): AlertRule[] {
  const { toQemu, baseline } = recorded(rateWindow);
  const usual = `{{ printf "${baseline}{job=%q,instance=%q,vm=%q}" .Labels.job .Labels.instance .Labels.vm | query | first | value | humanize }}`;
  return (['critical', 'warning'] as const).map((severity) => {
    const { factor, floor, for: pending } = spike[severity];
    return {
      alert: 'KvmUserspaceExitSpike',
      expr: `${toQemu} > ${factor} * ${baseline}\nand\n${toQemu} > ${floor}`,
      for: pending,
      labels: { severity },
      annotations: {
        summary: `${OF_VM} makes far more exits to QEMU than it usually does`,
        description: `${OF_VM} makes {{ $value | humanize }} exits per second to QEMU, more than ${factor} times its median of the last ${spike.baselineWindow} (${usual}/s), for ${pending}.`,
      },
    };
  });
}

function highShare({ rateWindow, share }: Thresholds): AlertRule {
  const { vmShare, vmExits } = recorded(rateWindow);
  return {
    alert: 'KvmHighShareReachingQemu',
    expr: `${vmShare} > ${share.above}\nand ignoring (layer)\n${series(vmExits, { layer: 'qemu' })} > ${share.floor}`,
    for: share.for,
    labels: { severity: 'warning' },
    annotations: {
      summary: `Most VM exits of ${OF_VM} go on to QEMU`,
      description: `{{ $value | humanizePercentage }} of the exits of ${OF_VM} reach QEMU, at more than ${share.floor} a second, for ${share.for}. With virtio, vhost and ioeventfd it is less than a tenth.`,
    },
  };
}

const STORMS = [
  ['KvmPauseExitStorm', 'pause', 'spins on locks: its vCPUs wait for each other'],
  ['KvmMmioExitStorm', 'mmio', 'faults on memory-mapped devices or on pages that are not mapped'],
  ['KvmHaltExitStorm', 'halt', 'falls asleep and is woken all the time'],
] as const;

function storms({ rateWindow, storms }: Thresholds): AlertRule[] {
  const { reasonExits } = recorded(rateWindow);
  return STORMS.map(([alert, key, what]) => {
    const { reasons, above, for: pending } = storms[key];
    const exits = series(reasonExits, { layer: 'kvm', reason: anyOf(...reasons) });
    return {
      alert,
      expr: `${exits}\n/ on (job, instance, vm) group_left ()\n${series('kvm_vm_vcpus')} > ${above}`,
      for: pending,
      labels: { severity: 'warning' },
      annotations: {
        summary: `${OF_VM} ${what}`,
        description: `${OF_VM} makes {{ $value | humanize }} {{ $labels.reason }} exits per second and vCPU (more than ${above}) for ${pending}.`,
      },
    };
  });
}

/** A counter that was not there before has not risen, for Prometheus: its first appearance is asked for apart. */
function fatalExits({ fatal }: Thresholds): AlertRule[] {
  return (['critical', 'warning'] as const).map((severity) => {
    const exits = series('kvm_exits_total', { layer: 'qemu', reason: anyOf(...fatal[severity]) });
    return {
      alert: 'KvmFatalExit',
      expr:
        `${sumWithout(['vcpu'], `increase(${exits}[${fatal.window}])`)} > 0\nor\n` +
        `${sumWithout(['vcpu'], `${exits} unless max_over_time(${exits}[${fatal.memory}] offset ${fatal.window})`)} > 0`,
      for: '0m',
      labels: { severity },
      annotations: {
        summary: `${OF_VM} ended with {{ $labels.reason }}`,
        description: `KVM could not or would not run ${OF_VM} any further: {{ $value | humanize }} exits with {{ $labels.reason }} in the last ${fatal.window}. One is enough to stop a guest.`,
      },
    };
  });
}

/** No exit and no entry, while QEMU has a vCPU of this VM for a device. A paused VM is quiet too, but its vCPUs left on a signal. */
function stuck({ rateWindow, stuck }: Thresholds): AlertRule {
  const { vcpuExits, waiting } = recorded(rateWindow);
  return {
    alert: 'KvmVcpuStuckInQemu',
    expr:
      `${sumWithout(['layer'], vcpuExits)} == 0\nand on (job, instance, vm)\n` +
      `(${waiting} > min_over_time(${waiting}[${stuck.memory}]))\n` +
      // Counters that began anew say nothing about what they were before.
      `unless on (job, instance, vm)\nresets(${series('kvm_exit_exporter_unpaired_exits_total', { layer: 'qemu' })}[${stuck.memory}]) > 0`,
    for: stuck.for,
    labels: { severity: 'critical' },
    annotations: {
      summary: `vCPU {{ $labels.vcpu }} of ${OF_VM} does not come back from QEMU`,
      description: `vCPU {{ $labels.vcpu }} of ${OF_VM} made no exit for ${rateWindow} and more, while the VM waits in QEMU for a port or MMIO access to end.`,
    },
  };
}

function timeLost({ rateWindow, timeLost }: Thresholds): AlertRule[] {
  return (['critical', 'warning'] as const).map((severity) => {
    const { above, for: pending } = timeLost[severity];
    return {
      alert: 'KvmVcpuTimeLost',
      expr: `${recorded(rateWindow).outside} > ${above}`,
      for: pending,
      labels: { severity },
      annotations: {
        summary: `vCPU {{ $labels.vcpu }} of ${OF_VM} loses its time to VM exits`,
        description: `vCPU {{ $labels.vcpu }} of ${OF_VM} spends {{ $value | humanizePercentage }} of its time in KVM and QEMU instead of its guest, idle time apart (more than ${above * 100}% for ${pending}).`,
      },
    };
  });
}
