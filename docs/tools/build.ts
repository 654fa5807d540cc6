import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pictures } from './pictures.js';
import { updated } from './readme.js';
import { withSoak } from './soak.js';

const ROOT = join(import.meta.dirname, '../../..');
const README = join(ROOT, 'README.md');
const BENCH = join(ROOT, 'docs/bench');
const SOAK = join(ROOT, 'docs/soak.md');

writeFileSync(README, updated(readFileSync(README, 'utf8')));
writeFileSync(SOAK, withSoak(readFileSync(SOAK, 'utf8'), readFileSync(join(BENCH, 'soak.json'), 'utf8')));
for (const [name, svg] of pictures(BENCH)) writeFileSync(join(BENCH, name), svg);
