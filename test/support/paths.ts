/** Places of this package, found from the compiled tests, which run from build/test. */
import { join } from 'node:path';

/** Absolute path of the package's root folder: the one that holds package.json. */
export const ROOT = join(import.meta.dirname, '../../..');

/** The compiled program as users start it. */
export const MAIN = join(ROOT, 'build/src/main.js');
