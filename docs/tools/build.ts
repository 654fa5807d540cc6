/** `npm run docs`: writes the generated parts of docs/. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedDocs } from './generated-docs.js';

const ROOT = join(import.meta.dirname, '../../..');

for (const [path, content] of generatedDocs()) writeFileSync(join(ROOT, path), content);
