/**
 * Exits of real SVM guests, on a host that is emulated itself: here kvm_exit and kvm_entry are raised as anywhere. SVMHOST names the program
 * that boots such a host and runs a command in it: `SVMHOST [-t seconds] -- command`, with exit code 125 where the host died.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipUnless } from '../support/requirements.js';

const { SVMHOST = '' } = process.env;
const SECONDS = 280;
const HOST_DIED = 125;
const TRIES = 3;

test(
  'counts per VM, vCPU and reason equal those of hist triggers, on AMD SVM',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => {
    const script = join(import.meta.dirname, 'svm-counts.js');
    for (let tries = 1; ; tries++) {
      const args = ['-t', String(SECONDS), '--', process.execPath, script];
      const { status, stdout, stderr } = spawnSync(SVMHOST, args, { encoding: 'utf8' });
      if (status === HOST_DIED && tries < TRIES) continue;
      for (const line of stdout.split('\n')) t.diagnostic(line);
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      return;
    }
  },
);
