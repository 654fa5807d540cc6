import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pictures } from './pictures.js';
import { updated } from './readme.js';

const ROOT = join(import.meta.dirname, '../..');
const README = join(ROOT, 'README.md');
const BENCH = join(ROOT, 'docs/bench');

writeFileSync(README, updated(readFileSync(README, 'utf8')));
for (const [name, svg] of pictures(BENCH)) writeFileSync(join(BENCH, name), svg);
