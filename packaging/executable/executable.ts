/** The self-contained executable: Node.js with the program and its files inside (a single executable application). */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'postject';
import { NAME, OUTPUT } from '../paths.js';
import { installed, run } from '../run.js';
import { HOST, TARGETS, type Target } from '../targets.js';
import type { Bundle } from './bundle.js';
import { embeddedAssets } from './embedded-assets.js';
import { LICENCES, PATHS, SOURCE_MAP } from './embedded-paths.js';
import { nodePackage } from './node-binary.js';
import { CODE_PATH } from './source-lines.js';

const PARTS = join(OUTPUT, 'parts');
const BLOB = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const SETTINGS = {
  disableExperimentalSEAWarning: true,
  // V8's cache depends on the CPU that made it: a build would neither be reproducible nor fit another machine.
  useCodeCache: false,
  useSnapshot: false,
  // Without the limit, Node.js 24 takes 1.5 times as much memory under clients that do not read. With 16 instead of 8,
  // a busy agent takes 20 MB more and no less CPU.
  execArgv: ['--max-semi-space-size=8'],
  // NODE_OPTIONS is for other programs.
  execArgvExtension: 'none',
};

export interface Executable {
  readonly target: Target;
  readonly path: string;
}

/** Builds one executable for each target. */
export async function buildExecutables(
  targets: readonly Target[],
  program: Bundle,
  licences: string,
): Promise<Executable[]> {
  rmSync(PARTS, { recursive: true, force: true });
  mkdirSync(PARTS, { recursive: true });
  const blob = await buildBlob(program, licences);
  return Promise.all(
    targets.map(async (target) => {
      const path = join(OUTPUT, `${NAME}-linux-${target.architecture}`);
      rmSync(path, { force: true });
      strip(target, join(nodePackage(target), 'bin/node'), path);
      await inject(path, BLOB, blob, { sentinelFuse: FUSE });
      chmodSync(path, 0o755);
      return { target, path };
    }),
  );
}

/** The program and its files. Made by the Node.js that will read it, on whatever machine this is. */
async function buildBlob({ code, map, worker }: Bundle, licences: string): Promise<Buffer> {
  const files = new Map(embeddedAssets());
  const add = (path: string, text: string) => {
    const file = join(PARTS, path.replaceAll('/', '_'));
    writeFileSync(file, text);
    files.set(path, file);
  };
  add('build/src/web/access/password-worker.js', worker);
  add(LICENCES, licences);
  add(SOURCE_MAP, map);
  add(PATHS, JSON.stringify([...files.keys()]));
  const main = join(PARTS, 'main.js');
  writeFileSync(main, code);
  const output = join(PARTS, 'program.blob');
  const config = join(PARTS, 'sea-config.json');
  writeFileSync(config, JSON.stringify({ ...SETTINGS, main, output, assets: Object.fromEntries([...files].sort()) }));
  run(join(nodePackage(TARGETS[HOST]), 'bin/node'), ['--experimental-sea-config', config]);
  return withCodePath(readFileSync(output), main);
}

/** Replaces the path of the code, which stands once in the blob, behind its length: the folder of the build varies. */
function withCodePath(blob: Buffer, path: string): Buffer {
  const before = counted(path);
  const at = blob.indexOf(before);
  if (at < 0) throw new Error(`the blob does not hold ${path}; has Node.js changed its form?`);
  return Buffer.concat([blob.subarray(0, at), counted(CODE_PATH), blob.subarray(at + before.length)]);
}

function counted(text: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([length, Buffer.from(text)]);
}

/** Removes the symbols, 18 MB. Before the blob comes in: afterwards, the executable would not start. */
function strip({ strip: programs, architecture }: Target, from: string, to: string): void {
  const program = installed(programs);
  if (program === undefined)
    throw new Error(`cannot strip the executable for ${architecture}: install ${programs.join(' or ')} (binutils)`);
  run(program, ['-o', to, from]);
}
