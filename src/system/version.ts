import { readFileSync } from 'node:fs';

const PACKAGE = new URL('../../../package.json', import.meta.url);

/** As package.json says: compiled files lie in build/src. */
export const VERSION = String(JSON.parse(readFileSync(PACKAGE, 'utf8')).version);
