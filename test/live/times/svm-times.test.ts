/** The times of vCPUs on an emulated host with AMD SVM, whose kernel raises kvm_exit and kvm_entry. */
import { join } from 'node:path';
import { test } from 'node:test';
import { needsSvmHost, runInSvmHost } from '../../support/guest/svmhost.js';

const SECONDS = 900;

test(
  'on AMD SVM, the time of vCPUs is where guests by construction spend it',
  needsSvmHost(),
  (t) => void runInSvmHost(t, join(import.meta.dirname, 'svm-times.js'), SECONDS),
);
