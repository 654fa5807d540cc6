#!/usr/bin/env node
/**
 * Checks the open-file limit before it imports the program: loading opens about a hundred files at once, and with too
 * few descriptors Node's loader fails with a misleading "cannot find package". Keep this file free of static imports
 * of packages, and of `await` outside of functions, which the executable's CommonJS does not have.
 */
import { ignoreUserSignals } from './system/debugger-signal.js';
import { MIN_OPEN_FILES, openFileLimit } from './system/open-file-limit.js';

ignoreUserSignals();
const limit = openFileLimit();
if (limit < MIN_OPEN_FILES) {
  process.stderr.write(
    `kvm-exit-exporter: too many open files: ${MIN_OPEN_FILES} are needed, ${limit} are allowed; raise the limit with ulimit -n\n`,
  );
  process.exitCode = 2;
} else void import('./cli.js');
