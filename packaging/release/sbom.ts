/** The software bill of materials of the executable: CycloneDX 1.6, as JSON. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePackage } from '../executable/node-binary.js';
import { DESCRIPTION, NAME, ROOT, SOURCE_DATE_EPOCH, VERSION } from '../paths.js';
import { run } from '../run.js';
import { HOST, NODE_VERSION, TARGETS } from '../targets.js';
import { packageLicence } from './licences.js';

interface Component {
  readonly type: 'library' | 'platform';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly object[];
  readonly hashes?: readonly object[];
}

/** @param folders of the packages in the executable, below node_modules */
export function sbom(folders: readonly string[]): string {
  const packages = folders.map(packageComponent);
  const libraries = nodeLibraries();
  const node: Component = {
    type: 'platform',
    'bom-ref': `node@${NODE_VERSION}`,
    name: 'node',
    version: NODE_VERSION,
    purl: `pkg:github/nodejs/node@v${NODE_VERSION}`,
    licenses: [{ license: { id: 'MIT' } }],
  };
  const root = `${NAME}@${VERSION}`;
  const components = [...packages, node, ...libraries];
  const refs = (all: readonly Component[]) => all.map((component) => component['bom-ref']);
  return `${JSON.stringify(
    {
      $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      serialNumber: serialNumber(refs(components)),
      version: 1,
      metadata: {
        timestamp: new Date(Number(SOURCE_DATE_EPOCH) * 1000).toISOString(),
        component: {
          type: 'application',
          'bom-ref': root,
          name: NAME,
          version: VERSION,
          description: DESCRIPTION,
          licenses: [{ license: { id: 'Apache-2.0' } }],
          purl: `pkg:npm/${NAME}@${VERSION}`,
        },
      },
      components,
      dependencies: [
        { ref: root, dependsOn: refs([...packages, node]) },
        { ref: node['bom-ref'], dependsOn: refs(libraries) },
      ],
    },
    undefined,
    2,
  )}\n`;
}

function packageComponent(folder: string): Component {
  const { name, version, id } = packageLicence(folder);
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [algorithm = '', hash = ''] = (integrities[folder]?.integrity ?? '').split('-');
  return {
    type: 'library',
    // Two copies of a package may be of one version.
    'bom-ref': `${folder.replace(/^node_modules\//, '')}@${version}`,
    name,
    version,
    purl,
    licenses: [{ license: { id } }],
    ...(algorithm === 'sha512'
      ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }] }
      : {}),
  };
}

const integrities: Readonly<Record<string, { readonly integrity?: string }>> = JSON.parse(
  readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
).packages;

/** What Node.js itself consists of: V8, OpenSSL, zlib ..., by process.versions. */
function nodeLibraries(): Component[] {
  const node = join(nodePackage(TARGETS[HOST]), 'bin/node');
  const versions: Record<string, string> = JSON.parse(run(node, ['-p', 'JSON.stringify(process.versions)']));
  // Not libraries: numbers of interfaces, and of data that goes with ICU.
  const noParts = new Set(['node', 'modules', 'napi', 'cldr', 'tz', 'unicode']);
  return Object.entries(versions)
    .filter(([name, version]) => version !== '' && !noParts.has(name))
    .map(([name, version]) => ({ type: 'library', 'bom-ref': `node/${name}@${version}`, name, version }));
}

/** A number that two builds of the same parts share, in the form of a UUID. */
function serialNumber(refs: readonly string[]): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([NAME, VERSION, refs]))
    .digest('hex');
  const parts = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `5${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ];
  return `urn:uuid:${parts.join('-')}`;
}
