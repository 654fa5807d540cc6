#!/usr/bin/env node
/**
 * Node.js opens a hundred files at once while it loads a program, and where it may not, it says that packages are missing. So first of all
 * it is asked whether it may; nothing else may be imported here but what needs no loading of its own.
 */
import { MIN_OPEN_FILES, openFileLimit } from './system/open-file-limit.js';

const limit = openFileLimit();
if (limit < MIN_OPEN_FILES) {
  process.stderr.write(
    `kvm-exit-exporter: too many open files: only ${limit} may be open, it takes ${MIN_OPEN_FILES}; raise the limit with ulimit -n\n`,
  );
  process.exitCode = 2;
} else await import('./cli.js');
