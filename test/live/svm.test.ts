/**
 * Exits of AMD SVM guests on an emulated host, whose kernel raises kvm_exit and kvm_entry as on real hardware. The
 * variable SVMHOST is the program that boots such a host and runs a command in it: `SVMHOST [-t seconds] -- command`.
 * Its exit code is 125 if the host crashed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { assertFires } from '../support/prometheus/assert-fires.js';
import { needs, skipUnless } from '../support/requirements.js';

const { SVMHOST = '' } = process.env;
/** The emulated host takes a minute on a quiet machine. */
const SECONDS = 580;
const HOST_DIED = 125;
const MAX_TRIES = 3;

/** Runs a script of this folder in the emulated host; a host that crashes is started again. Returns its output. */
function runInHost(t: TestContext, script: string, seconds = SECONDS): string {
  for (let tries = 1; ; tries++) {
    const args = ['-t', String(seconds), '--', process.execPath, join(import.meta.dirname, script)];
    const { status, stdout, stderr } = spawnSync(SVMHOST, args, { encoding: 'utf8' });
    if (status === HOST_DIED && tries < MAX_TRIES) continue;
    for (const line of stdout.split('\n')) t.diagnostic(line);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    return stdout;
  }
}

test(
  'on AMD SVM, counts per VM, vCPU and reason equal those of hist triggers',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => void runInHost(t, 'svm-counts.js'),
);

test(
  'on AMD SVM, the same exits recorded by record, trace-cmd and perf give equal tables',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => void runInHost(t, 'three-recorders.js'),
);

test(
  'on AMD SVM, MSRs, CPUID leaves and hypercalls are those of the guests, live and in recordings',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => void runInHost(t, 'svm-indices.js'),
);

test(
  'on AMD SVM, halts that polling or an interrupt ended, and time polled, agree with kvm_vcpu_wakeup',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => void runInHost(t, 'svm-halts.js'),
);

test(
  "on AMD SVM, counts agree with KVM's own statistics, and an agent that drops exits does not, so the alert fires",
  skipUnless('svmhost', SVMHOST !== '').skip === false ? needs('promtool') : skipUnless('svmhost', false),
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
