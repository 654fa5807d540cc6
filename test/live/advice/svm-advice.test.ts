/**
 * Costs of findings, and a Linux guest before and after, on an emulated host; SVMHOST is described in ../svm.test.ts.
 * GUEST_KERNEL is a folder with an unpacked Debian kernel package (boot/, lib/modules/ with modules.dep), GUEST_BUSYBOX
 * a static busybox. RESULT, a path in the emulated host, gets the figures in JSON.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildLinuxGuest } from '../../support/guest/linux-guest.js';
import { skipUnless } from '../../support/requirements.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const { SVMHOST = '', GUEST_KERNEL = '', GUEST_BUSYBOX = '' } = process.env;
const SECONDS = 900;

test(
  'on AMD SVM, findings cost what the trace adds up to, and a cured Linux guest has none',
  skipUnless('svmhost', ![SVMHOST, GUEST_KERNEL, GUEST_BUSYBOX].includes('')),
  (t) => {
    const folder = temporaryFolder(t, 'linux-guest');
    buildLinuxGuest(folder, GUEST_KERNEL, GUEST_BUSYBOX);
    const args = ['-t', String(SECONDS), '--', process.execPath, join(import.meta.dirname, 'svm-advice.js')];
    const { status, stdout, stderr } = spawnSync(SVMHOST, args, {
      encoding: 'utf8',
      env: { ...process.env, LINUX_GUEST: folder, SVMHOST_PASS: 'LINUX_GUEST RESULT' },
    });
    for (const line of stdout.split('\n')) t.diagnostic(line);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
  },
);
