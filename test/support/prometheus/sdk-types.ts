/**
 * The types of the Grafana Foundation SDK as a schema for dashboards as JSON: what the compiler says of a literal of that type. It knows
 * required and unknown fields, at any depth, and the values of enumerations.
 *
 *   export declare enum SortOrder { Ascending = "asc", ... }      as the SDK has it: no JSON fits that
 *   export type SortOrder = "asc" | ...                           as it is written here
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

/** What the compiler finds wrong: lines that begin with the literal's name. */
export function typeProblems(literals: ReadonlyMap<string, Literal>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sdk-types-'));
  try {
    // All that the others take from it: any query will do where a dashboard is asked for one.
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
