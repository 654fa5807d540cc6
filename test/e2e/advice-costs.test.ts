/**
 * Costs of findings, against the time from each return of KVM_RUN to the next entry, which a parser of its own adds up
 * from the text of the same recordings. The recordings are of hosts with AMD SVM and arm64.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';
import { costsByAddress } from '../support/trace/trace-costs.js';

const TOLERANCE = 0.2;
const DEMO = {
  text: join(ROOT, 'deploy/demo/recording/trace_pipe.txt.gz'),
  proc: join(ROOT, 'deploy/demo/recording/proc'),
};
const WHOLE_DEMO = { text: fixture('demo/full/trace_pipe.txt'), proc: fixture('demo/proc') };
const TWO_VMS = { text: fixture('svm/two-vms-6.12/trace_pipe.txt'), proc: fixture('svm/two-vms-6.12/proc') };

const ARM = { text: fixture('arm64/two-vms-6.1/trace.txt'), proc: fixture('arm64/two-vms-6.1/proc') };

/** Recording, VM and finding; thread of the vCPU; the addresses that the finding is about. */
const FINDINGS = [
  [DEMO, 'legacy-db', 'emulated-disk', '181', /^pio 0x(?:1f[0-7]|3f6)$/],
  [WHOLE_DEMO, 'legacy-db', 'emulated-disk', '181', /^pio 0x(?:1f[0-7]|3f6)$/],
  [WHOLE_DEMO, 'legacy-db', 'pci-config-by-port', '181', /^pio 0xcf[8-f]$/],
  [WHOLE_DEMO, 'web-1', 'pci-config-by-port', '180', /^pio 0xcf[8-f]$/],
  [ARM, 'arm-a', 'arm64-emulated-device', '122', /^mmio /],
  [TWO_VMS, 'vm-b', 'slow-device-model', '186', /^(?:pio|mmio) /],
] as const;

for (const [{ text, proc }, vm, advice, thread, addresses] of FINDINGS)
  test(`${advice} of ${vm} costs what the text of ${text.slice(ROOT.length + 1)} adds up to`, (t) => {
    const { findings } = reportOf('--path.procfs', proc, text);
    const finding = findings?.find((each) => each.vm === vm && each.advice === advice);
    const costs = costsByAddress(gunzipSync(readFileSync(text)).toString(), thread);
    const matching = [...costs].filter(([address]) => addresses.test(address)).map(([, cost]) => cost);
    const perSecond = matching.reduce((sum, cost) => sum + cost.perSecond, 0);
    const seconds = matching.reduce((sum, cost) => sum + cost.seconds, 0);
    t.diagnostic(`${finding?.cost?.toFixed(4)} of a vCPU, by the text ${seconds.toFixed(4)}`);
    assert.ok(finding !== undefined);
    assert.ok(
      Math.abs(finding.per_second / perSecond - 1) < 0.01,
      `${finding.per_second}/s, by the text ${perSecond}/s`,
    );
    assert.ok(
      Math.abs((finding.cost ?? Number.NaN) / seconds - 1) <= TOLERANCE,
      `${finding.cost}, by the text ${seconds}`,
    );
  });

test('accesses that take less than a mean one of their bus cost less', () => {
  // An access to port 0x402 takes 0.9 ms, a mean one to any port 2.2 ms: 0.8 % of a vCPU in all, and not 2.1 %.
  const { findings } = reportOf('--path.procfs', TWO_VMS.proc, TWO_VMS.text);
  assert.ok(findings?.every(({ advice }) => advice !== 'firmware-debug-output'));
});
