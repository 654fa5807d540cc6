/** The alerts. Each has a runbook of the same name in deploy/runbooks; a test checks that both exist. */

import { anyOf, series, sumWithout } from '../promql.js';
import { RUNBOOKS, RUNBOOKS_OF_AGENT, type Thresholds } from '../thresholds.js';
import { exporterAlerts } from './exporter-alerts.js';
import { recorded } from './recording-rules.js';
import type { AlertRule, RuleGroup } from './rule-files.js';

/** Before the summary of an alert about a recording that is replayed. */
export const REPLAY = 'Replay of a recording: ';
const VM = 'VM {{ $labels.vm }} on {{ $labels.instance }}';

export function alerts(thresholds: Thresholds): RuleGroup[] {
  const vmAlerts = [
    ...spikes(thresholds),
    highShare(thresholds),
    ...storms(thresholds),
    ...fatalExits(thresholds),
    stuck(thresholds),
    ...timeLost(thresholds),
    haltPolling(thresholds),
    waitsForCpu(thresholds),
  ];
  return [
    { name: 'kvm-exits.alerts', rules: vmAlerts.map(withAdvice).map(withReplay).map(withRunbook) },
    { name: 'kvm-exit-exporter.alerts', rules: exporterAlerts(thresholds).map(withRunbook) },
  ];
}

/** Names of the findings about the VM, those that cost most first: `emulated-disk, rtc`. */
function withAdvice(rule: AlertRule): AlertRule {
  const selector = 'kvm_vm_advice{job=%q,instance=%q,vm=%q}';
  const query = `printf "sort_desc(${selector})" .Labels.job .Labels.instance .Labels.vm | query`;
  const names = '{{ range $index, $each := . }}{{ if $index }}, {{ end }}{{ $each.Labels.advice }}{{ end }}';
  const advice = `{{ with ${query} }}${names}{{ else }}no finding{{ end }}`;
  return { ...rule, annotations: { ...rule.annotations, advice } };
}

/** Says of a VM that `demo` replays that it is one. */
function withReplay(rule: AlertRule): AlertRule {
  const selector = 'kvm_vm_info{job=%q,instance=%q,vm=%q,demo=\\"true\\"}';
  const query = `printf "${selector}" .Labels.job .Labels.instance .Labels.vm | query`;
  const summary = `{{ with ${query} }}${REPLAY}{{ end }}${rule.annotations.summary}`;
  return { ...rule, annotations: { ...rule.annotations, summary } };
}

/** An agent serves the runbooks of its version, unless the alert is that it does not answer. */
function withRunbook(rule: AlertRule): AlertRule {
  const isServed = !['KvmExitExporterDown', 'KvmExitExporterAbsent'].includes(rule.alert);
  const address = isServed ? `${RUNBOOKS_OF_AGENT}/${rule.alert}` : `${RUNBOOKS}/${rule.alert}.md`;
  return { ...rule, annotations: { ...rule.annotations, runbook_url: address } };
}

function spikes({ rateWindow, spike }: Thresholds): AlertRule[] {
  const { toQemu, baseline } = recorded(rateWindow);
  const query = `printf "${baseline}{job=%q,instance=%q,vm=%q}" .Labels.job .Labels.instance .Labels.vm | query`;
  const usual = `{{ ${query} | first | value | humanize }}`;
  return (['critical', 'warning'] as const).map((severity) => {
    const { factor, floor, for: pending } = spike[severity];
    return {
      alert: 'KvmUserspaceExitSpike',
      expr: `${toQemu} > ${factor} * ${baseline}\nand\n${toQemu} > ${floor}`,
      for: pending,
      labels: { severity },
      annotations: {
        summary: `${VM} makes far more exits to QEMU than usual`,
        description:
          `${VM} makes {{ $value | humanize }} exits per second to QEMU, more than ${factor} times its median ` +
          `of the last ${spike.baselineWindow} (${usual}/s), for ${pending}.`,
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
      summary: `Most VM exits of ${VM} reach QEMU`,
      description:
        `{{ $value | humanizePercentage }} of the exits of ${VM} reach QEMU, at more than ${share.floor} per second, ` +
        `for ${share.for}. With virtio, vhost and ioeventfd it is less than a tenth.`,
    },
  };
}

const STORMS = [
  ['KvmPauseExitStorm', 'pause', 'spins on locks: its vCPUs wait for each other'],
  ['KvmMmioExitStorm', 'mmio', 'faults on memory-mapped devices or on unmapped pages'],
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
        summary: `${VM} ${what}`,
        description:
          `${VM} makes {{ $value | humanize }} {{ $labels.reason }} exits per second and vCPU ` +
          `(more than ${above}) for ${pending}.`,
      },
    };
  });
}

/** `increase()` misses the first sample of a new series, so the second operand of `or` finds a new series. */
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
        summary: `${VM} ended with {{ $labels.reason }}`,
        description:
          `KVM cannot run ${VM} any further: {{ $value | humanize }} exits with {{ $labels.reason }} ` +
          `in the last ${fatal.window}. One is enough to stop a guest.`,
      },
    };
  });
}

/**
 * A vCPU without any exit, in a VM that waits in QEMU for a device. A paused VM makes no exits either, but its vCPUs
 * left KVM_RUN on a signal, so it does not wait for a device.
 */
function stuck({ rateWindow, stuck }: Thresholds): AlertRule {
  const { vcpuExits, waiting } = recorded(rateWindow);
  const unpaired = series('kvm_exit_exporter_unpaired_exits_total', { layer: 'qemu' });
  return {
    alert: 'KvmVcpuStuckInQemu',
    expr:
      `${vcpuExits} == 0\nand on (job, instance, vm)\n` +
      `(${waiting} > 0)\n` +
      // After a restart of the agent, the counters do not show what was waiting before it.
      `unless on (job, instance, vm)\nresets(${unpaired}[${stuck.memory}]) > 0`,
    for: stuck.for,
    labels: { severity: 'critical' },
    annotations: {
      summary: `vCPU {{ $labels.vcpu }} of ${VM} does not return from QEMU`,
      description:
        `vCPU {{ $labels.vcpu }} of ${VM} has made no exit for at least ${rateWindow}, ` +
        'while the VM waits in QEMU for a port or MMIO access to end.',
    },
  };
}

function waitsForCpu({ rateWindow, ready: { above, for: pending } }: Thresholds): AlertRule {
  return {
    alert: 'KvmVcpuWaitsForCpu',
    expr: `rate(${series('kvm_vcpu_seconds_total', { state: 'ready' })}[${rateWindow}]) > ${above}`,
    for: pending,
    labels: { severity: 'warning' },
    annotations: {
      summary: `vCPU {{ $labels.vcpu }} of ${VM} waits for a host CPU`,
      description:
        `vCPU {{ $labels.vcpu }} of ${VM} is ready to run, but waits for a host CPU for {{ $value | humanizePercentage }} ` +
        `of its time (more than ${above * 100}% for ${pending}).`,
    },
  };
}

function timeLost({ rateWindow, timeLost }: Thresholds): AlertRule[] {
  return (['critical', 'warning'] as const).map((severity) => {
    const { above, for: pending } = timeLost[severity];
    return {
      alert: 'KvmVcpuTimeLost',
      expr: `${recorded(rateWindow).timeLost} > ${above}`,
      for: pending,
      labels: { severity },
      annotations: {
        summary: `vCPU {{ $labels.vcpu }} of ${VM} loses its time to VM exits`,
        description:
          `vCPU {{ $labels.vcpu }} of ${VM} spends {{ $value | humanizePercentage }} of its time in KVM and QEMU ` +
          `instead of its guest, without idle time (more than ${above * 100}% for ${pending}).`,
      },
    };
  });
}

function haltPolling({ rateWindow, haltPolling: { above, failing, for: pending } }: Thresholds): AlertRule {
  const seconds = (stat: string) =>
    sumWithout(['vcpu', 'stat'], `rate(${series('kvm_stat_seconds_total', { stat })}[${rateWindow}])`);
  const failed = seconds('halt_poll_fail_ns');
  return {
    alert: 'KvmHaltPollingWaste',
    expr: `${failed} > ${above}\nand\n${failed} / (${failed} + ${seconds('halt_poll_success_ns')}) > ${failing}`,
    for: pending,
    labels: { severity: 'warning' },
    annotations: {
      summary: `Idle vCPUs of ${VM} burn host CPUs`,
      description:
        `KVM polls on behalf of idle vCPUs of ${VM} and finds no work: ` +
        `{{ $value | printf "%.2f" }} host CPUs (more than ${above}) for ${pending}.`,
    },
  };
}
