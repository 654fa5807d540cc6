/**
 * Findings with their costs, and a Linux guest before and after, on an emulated host. GUEST_KERNEL is a folder with an
 * unpacked Debian kernel package (boot/, lib/modules/ with modules.dep), GUEST_BUSYBOX a static busybox. RESULT, a path
 * in the emulated host, gets the figures of the Linux guest in JSON.
 */
import { join } from 'node:path';
import { test } from 'node:test';
import { buildLinuxGuest } from '../../support/guest/linux-guest.js';
import { needsSvmHost, runInSvmHost } from '../../support/guest/svmhost.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { EXIT_CASES } from './exit-cases.js';

const { GUEST_KERNEL = '', GUEST_BUSYBOX = '', RESULT = '' } = process.env;
const SECONDS = 900;
/** One guest and its changed VM take one minute on a quiet machine. */
const SECONDS_OF_ONE = 300;

for (const { advice } of EXIT_CASES)
  test(
    `on AMD SVM, ${advice} costs what the trace adds up to, and the changed VM has no finding`,
    needsSvmHost(),
    (t) => {
      runInSvmHost(t, join(import.meta.dirname, 'svm-exits.js'), SECONDS_OF_ONE, { FINDING: advice });
    },
  );

test(
  'on AMD SVM, findings about devices cost what the trace adds up to, and the VMs changed as printed have none',
  needsSvmHost(),
  (t) => void runInSvmHost(t, join(import.meta.dirname, 'devices.test.js'), SECONDS, { TEST_PATIENCE: '4' }),
);

test(
  'on AMD SVM, QEMU starts with the arguments of every rule, those about Hyper-V too',
  needsSvmHost(),
  (t) => void runInSvmHost(t, join(import.meta.dirname, 'svm-settings.js'), SECONDS),
);

test(
  'on AMD SVM, findings cost what the trace adds up to, and a cured Linux guest has none',
  needsSvmHost(GUEST_KERNEL, GUEST_BUSYBOX),
  (t) => {
    const folder = temporaryFolder(t, 'linux-guest');
    buildLinuxGuest(folder, GUEST_KERNEL, GUEST_BUSYBOX);
    runInSvmHost(t, join(import.meta.dirname, 'svm-advice.js'), SECONDS, { LINUX_GUEST: folder, RESULT });
  },
);
