/**
 * `npm run package`: writes the executables to build/package.
 *
 *   npm run package                        for x64 and arm64
 *   npm run package -- x64                 for one of them
 */
import { buildExecutables } from './executable/executable.js';
import { TARGETS } from './targets.js';

const wanted = process.argv.slice(2);
const targets = Object.values(TARGETS).filter(
  ({ architecture }) => wanted.length === 0 || wanted.includes(architecture),
);
for (const { path } of await buildExecutables(targets)) console.log(path);
