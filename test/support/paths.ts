/** Places of this package, found from the compiled tests, which run from build/test. */
import { join } from 'node:path';

/** Absolute path of the package's root folder: the one that holds package.json. */
export const ROOT = join(import.meta.dirname, '../../..');

/** The compiled program as users start it. */
export const MAIN = join(ROOT, 'build/src/main.js');

/**
 * The command that starts the program: the compiled one, or the executable that EXPORTER_TEST_PROGRAM names. Its name
 * does not start as the program's own variables do, because the program would refuse it.
 */
export const [PROGRAM, ...PROGRAM_ARGS]: readonly [string, ...string[]] =
  process.env.EXPORTER_TEST_PROGRAM === undefined ? [process.execPath, MAIN] : [process.env.EXPORTER_TEST_PROGRAM];
