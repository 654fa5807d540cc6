/** Node.js for another machine or version than the one that runs: from its npm package, whose hash is known. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OUTPUT } from '../paths.js';
import { run } from '../run.js';
import { NODE_VERSION, type Target } from '../targets.js';

const CACHE = join(OUTPUT, 'node');

/** The folder of the unpacked package: bin/node, LICENSE. npm takes it from its own cache if it has it. */
export function nodePackage({ nodePackage: name, integrity }: Target): string {
  const folder = join(CACHE, `${name}-${NODE_VERSION}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  run('npm', ['pack', '--silent', '--prefer-offline', '--pack-destination', CACHE, `${name}@${NODE_VERSION}`]);
  const tarball = `${folder}.tgz`;
  const hash = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (hash !== integrity) throw new Error(`${tarball}: its hash is ${hash}, but packaging/targets.ts has ${integrity}`);
  const unpacked = `${folder}.new`;
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked);
  run('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1', 'package/bin', 'package/LICENSE']);
  renameSync(unpacked, folder);
  rmSync(tarball);
  return folder;
}
