/** Files that the executable holds, by the path at which the program asks for them. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.js';

/**
 * Files and folders with everything below them. What src/system/program/program-files.ts reads is among them, which
 * test/packaging checks by running the executable.
 */
const EMBEDDED = [
  'package.json',
  'deploy/demo/recording',
  'deploy/runbooks',
  'docs/advice',
  'build/src/web/page',
  'node_modules/uplot/dist/uPlot.iife.min.js',
  'node_modules/uplot/dist/uPlot.min.css',
] as const;
/**
 * The recorded /proc is for `report --path.procfs`; the demo has the names of its VMs from vms.jsonl. Maps are for the
 * compiled program.
 */
const LEFT_OUT = /^deploy\/demo\/recording\/(?:proc\/|README)|\.js\.map$/;

/** Path in the executable -> path on this machine. */
export function embeddedAssets(): ReadonlyMap<string, string> {
  const paths = EMBEDDED.flatMap(filesBelow).filter((path) => !LEFT_OUT.test(path));
  return new Map(paths.sort().map((path) => [path, join(ROOT, path)]));
}

/** Folders of the packages that single files are from. */
export function embeddedPackages(): string[] {
  return EMBEDDED.flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
}

function filesBelow(path: string): string[] {
  const full = join(ROOT, path);
  if (!existsSync(full)) throw new Error(`${path}: no such file; packaging/executable/embedded-assets.ts lists it`);
  if (!statSync(full).isDirectory()) return [path];
  return readdirSync(full, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(full, name)).isFile())
    .map((name) => `${path}/${name}`);
}
