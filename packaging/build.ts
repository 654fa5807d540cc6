/**
 * `npm run package`: writes executables and packages to build/package.
 *
 *   npm run package                        for x64 and arm64
 *   npm run package -- x64                 for one of them
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './executable/bundle.js';
import { embeddedPackages } from './executable/embedded-assets.js';
import { buildExecutables, type Executable } from './executable/executable.js';
import { buildDeb } from './linux/deb.js';
import { buildRpm } from './linux/rpm.js';
import { NAME, OUTPUT, ROOT, VERSION } from './paths.js';
import { writeChecksums } from './release/checksums.js';
import { licencesOf } from './release/licences.js';
import { sbom } from './release/sbom.js';
import { installed, run } from './run.js';
import { TARGETS } from './targets.js';

const wanted = process.argv.slice(2);
const all = Object.values(TARGETS);
const targets = wanted.length === 0 ? all : all.filter(({ architecture }) => wanted.includes(architecture));
if (targets.length === 0) throw new Error(`no such machine: ${wanted.join(' ')}; there are ${Object.keys(TARGETS)}`);

const program = await bundle();
const packages = [...new Set([...program.packages, ...embeddedPackages()])].sort();
const documents = { licences: licencesOf(packages), sbom: sbom(packages) };
const executables = await buildExecutables(targets, program, documents.licences);
const bill = join(OUTPUT, `${NAME}-${VERSION}.cdx.json`);
writeFileSync(bill, documents.sbom);
const files = [
  bill,
  npmTarball(),
  ...executables.flatMap((executable) => [executable.path, ...packagesOf(executable)]),
];
for (const file of [...files, writeChecksums(files)]) console.log(file);

function packagesOf(executable: Executable): string[] {
  const tools = { 'dpkg-deb': buildDeb, rpmbuild: buildRpm };
  return Object.entries(tools).flatMap(([tool, build]) => {
    if (installed([tool]) !== undefined) return [build(executable, documents)];
    console.error(`${tool} is missing: its package is not built`);
    return [];
  });
}

/** The package for npm: the program without Node.js. */
function npmTarball(): string {
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', OUTPUT], { cwd: ROOT });
  return join(OUTPUT, `${NAME}-${VERSION}.tgz`);
}
