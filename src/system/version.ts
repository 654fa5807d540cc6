import { readProgramFile } from './program/program-files.js';

/** The version in package.json. */
export const VERSION = String(JSON.parse(readProgramFile('package.json').toString('utf8')).version);
