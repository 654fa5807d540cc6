/** Exits of AMD SVM guests on an emulated host, whose kernel raises kvm_exit and kvm_entry as on real hardware. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { needsSvmHost, runInSvmHost } from '../support/guest/svmhost.js';
import { assertFires } from '../support/prometheus/assert-fires.js';
import { needs } from '../support/requirements.js';

const SECONDS = 580;
const MANY_CPUS = 32;

/** Runs a script of this folder in the emulated host. Returns its output. */
function runInHost(t: TestContext, script: string, seconds = SECONDS): string {
  return runInSvmHost(t, join(import.meta.dirname, script), seconds);
}

test(
  'on AMD SVM, counts per VM, vCPU and reason equal those of hist triggers',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-counts.js'),
);

test(
  'on AMD SVM, the same exits recorded by record, trace-cmd and perf give equal tables',
  needsSvmHost(),
  (t) => void runInHost(t, 'three-recorders.js'),
);

test(
  'on AMD SVM, MSRs, CPUID leaves and hypercalls are those of the guests, live and in recordings',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-indices.js'),
);

test(
  'on AMD SVM, exits of a guest of a guest are those of its code, live and in recordings',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-nested.js'),
);

test(
  'on AMD SVM, halts that polling or an interrupt ended, and time polled, agree with kvm_vcpu_wakeup',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-halts.js'),
);

test(
  'on AMD SVM, estimates of --sampling add up to the exits of KVM, and the true numbers are in their intervals',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-sampling.js'),
);

test(
  'under kernel lockdown, debugfs is reported closed, and the statistics of a VM come from its QMP socket',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-lockdown.js'),
);

test(
  'on AMD SVM, a VM in focus is counted exactly beside a sampled one',
  needsSvmHost(),
  (t) => void runInHost(t, 'svm-focus.js'),
);

test(
  'on AMD SVM with 32 CPUs, buffers are bounded, and twelve VMs at once are counted exactly',
  needsSvmHost(),
  (t) => void runInSvmHost(t, join(import.meta.dirname, 'svm-many-cpus.js'), SECONDS, {}, MANY_CPUS),
);

test('on AMD SVM with 32 CPUs, an idle agent reads at most 1.3 times as often as with two', needsSvmHost(), (t) => {
  const script = join(import.meta.dirname, '../bench/idle-cost.js');
  const readsWith = (cpus: number) => {
    const [, reads] = /^reads +([\d.]+)/m.exec(runInSvmHost(t, script, SECONDS, {}, cpus)) ?? [];
    return Number(reads);
  };
  const [few, many] = [readsWith(2), readsWith(MANY_CPUS)];
  assert.ok(few > 0 && many <= 1.3 * few, `${few} reads a second with 2 CPUs, ${many} with ${MANY_CPUS}`);
});

test(
  "on AMD SVM, counts agree with KVM's own statistics, and an agent that drops exits does not, so the alert fires",
  needsSvmHost().skip === false ? needs('promtool') : needsSvmHost(),
  (t) => {
    const output = runInHost(t, 'svm-audit.js', 2 * SECONDS);
    const ratios = [...output.matchAll(/^(kvm_exit_exporter_audit_ratio\{)(.*)$/gm)];
    const samples = ratios.map(([, name, rest]) => `${name}job="kvm-exit-exporter",${rest}`);
    const dropped = ['by-qmp', 'by-debugfs'].flatMap((vm) =>
      ['exits', 'io_exits'].map((check) => `{instance="wrong",vm="${vm}",check="${check}"}`),
    );
    assertFires('KvmExitExporterAuditDifference', samples, dropped);
  },
);
