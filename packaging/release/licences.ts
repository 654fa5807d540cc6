/** The licences of everything in the executable: the program, its packages, Node.js. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePackage } from '../executable/node-binary.js';
import { NAME, ROOT, readManifest } from '../paths.js';
import { HOST, NODE_VERSION, TARGETS } from '../targets.js';

/** Licences that let a binary be passed on with no more than their text. */
export const ALLOWED: ReadonlySet<string> = new Set([
  'MIT',
  'Apache-2.0',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
]);

export interface PackageLicence {
  readonly name: string;
  readonly version: string;
  /** Its SPDX identifier. */
  readonly id: string;
  /** The text of its licence and notice files; '' if it has none. */
  readonly text: string;
}

/** @param folder relative to the package: `node_modules/express` */
export function packageLicence(folder: string): PackageLicence {
  const path = join(ROOT, folder);
  const { name, version, license = '' } = readManifest(path);
  const files = readdirSync(path)
    .filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file))
    .sort();
  return {
    name,
    version,
    id: license,
    text: files.map((file) => readFileSync(join(path, file), 'utf8').trim()).join('\n\n'),
  };
}

/** @param folders of the packages */
export function licencesOf(folders: readonly string[]): string {
  const node = nodePackage(TARGETS[HOST]);
  const packages = folders.map(packageLicence);
  return [
    section(NAME, readFileSync(join(ROOT, 'LICENSE'), 'utf8')),
    ...packages.map(({ name, version, id, text }) => section(`${name} ${version} (${id})`, text)),
    section(`Node.js ${NODE_VERSION}, with the libraries in it`, readFileSync(join(node, 'LICENSE'), 'utf8')),
  ].join('\n');
}

function section(title: string, text: string): string {
  return `${'='.repeat(80)}\n${title}\n${'='.repeat(80)}\n\n${text.trim()}\n`;
}
