/**
 * The times of vCPUs on an emulated host with AMD SVM, whose kernel raises kvm_exit and kvm_entry. SVMHOST is described
 * in svm.test.ts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipUnless } from '../../support/requirements.js';

const { SVMHOST = '' } = process.env;
const SECONDS = 900;
const HOST_DIED = 125;
const MAX_TRIES = 3;

test(
  'on AMD SVM, the time of vCPUs is where guests by construction spend it',
  skipUnless('svmhost', SVMHOST !== ''),
  (t) => {
    const script = join(import.meta.dirname, 'svm-times.js');
    for (let tries = 1; ; tries++) {
      const args = ['-t', String(SECONDS), '--', process.execPath, script];
      const { status, stdout, stderr } = spawnSync(SVMHOST, args, { encoding: 'utf8' });
      if (status === HOST_DIED && tries < MAX_TRIES) continue;
      for (const line of stdout.split('\n')) t.diagnostic(line);
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      return;
    }
  },
);
