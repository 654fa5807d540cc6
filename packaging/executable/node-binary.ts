/** Node.js for another machine or version than the one that runs: from its npm package, whose hash is known. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OUTPUT } from '../paths.js';
import { run } from '../run.js';
import { NODE_VERSION, type NodePackage, type Target } from '../targets.js';

const CACHE = join(OUTPUT, 'node');

/** The Node.js that the executable for a machine is a copy of. */
export function nodePackage({ nodePackage: name, integrity }: Target): string {
  return unpackNode(name, { version: NODE_VERSION, integrity });
}

/** The folder of the unpacked package: bin/node, LICENSE. npm takes it from its own cache if it has it. */
export function unpackNode(name: string, { version, integrity }: NodePackage): string {
  const folder = join(CACHE, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  run('npm', ['pack', '--silent', '--prefer-offline', '--pack-destination', CACHE, `${name}@${version}`]);
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
