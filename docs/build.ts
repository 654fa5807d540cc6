import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { updated } from './readme.js';

const README = join(import.meta.dirname, '../../README.md');

writeFileSync(README, updated(readFileSync(README, 'utf8')));
