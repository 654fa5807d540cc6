/**
 * Checks dashboards in JSON against the types of the Grafana Foundation SDK: the TypeScript compiler checks each value
 * as a literal of its type. It finds missing and unknown fields at any depth, and wrong values of enumerations. JSON
 * does not fit an enum, so each enum of the SDK becomes a union:
 *
 *   export declare enum SortOrder { Ascending = "asc", ... }
 *   export type SortOrder = "asc" | ...
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../paths.js';

const SDK = dirname(createRequire(import.meta.url).resolve('@grafana/grafana-foundation-sdk/dashboard'));
const MODULES = ['common', 'dashboard', 'heatmap', 'prometheus', 'stat', 'table', 'timeseries'];

export interface Literal {
  /** `timeseries.Options` */
  readonly type: string;
  readonly value: unknown;
}

/** The compiler's errors, each beginning with the name of its literal. */
export function typeProblems(literals: ReadonlyMap<string, Literal>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sdk-types-'));
  try {
    // The only type that other modules import from cog. Queries of a dashboard are not checked here, but one by one.
    mkdirSync(join(folder, 'cog'));
    writeFileSync(join(folder, 'cog/index.d.ts'), 'export type Dataquery = unknown;\n');
    for (const module of MODULES) copyTypes(join(dirname(SDK), module), join(folder, module));
    const imports = MODULES.map((module) => `import type * as ${module} from './${module}/types.gen.js';`);
    const names = [...literals.keys()];
    const lines = Array.from(literals.values(), ({ type, value }, at) => {
      return `export const literal${at}: ${type} = ${JSON.stringify(value)};`;
    });
    writeFileSync(join(folder, 'check.ts'), [...imports, ...lines].join('\n'));
    const args = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '', 'check.ts'];
    const { stdout, error } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), args, { cwd: folder, encoding: 'utf8' });
    if (error !== undefined) throw error;
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^check\.ts\((\d+),\d+\)/, (_, at) => names[Number(at) - 1 - imports.length] ?? at));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function copyTypes(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => path === from || /(types\.gen|index)\.d\.ts$/.test(path) });
  for (const file of readdirSync(to)) {
    const text = readFileSync(join(to, file), 'utf8');
    writeFileSync(join(to, file), file.startsWith('index') ? "export * from './types.gen.js';\n" : withUnions(text));
  }
}

function withUnions(text: string): string {
  const values = new Map<string, string>();
  const unions = text.replace(/export declare enum (\w+) \{([^}]*)\}/g, (_, name, body) => {
    const members = [...String(body).matchAll(/(\w+) = ("[^"]*"|-?\d+)/g)];
    for (const [, member, value] of members) values.set(`${name}.${member}`, String(value));
    return `export type ${name} = ${members.map(([, , value]) => value).join(' | ')};`;
  });
  return unions
    .replace(/^ *_implements\w+\(\): void;$/gm, '')
    .replace(/\b([A-Z]\w+\.[A-Z]\w*)\b/g, (reference) => values.get(reference) ?? reference)
    .replace(/from '\.\.\/(\w+)'/g, "from '../$1/index.js'");
}
