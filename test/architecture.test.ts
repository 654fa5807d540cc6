/**
 * Checks the structure of src/: which folder may import which, and how large folders get. docs/architecture.md explains
 * the structure; the constant ROOMS below is its exact form.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/paths.js';

const SRC = join(ROOT, 'src');

/**
 * The rooms of src/, and the lower rooms that each may import, with the rooms inside them. A room is a folder, or one
 * of the two files at the root. They are listed from the ground floor up: data flows upwards, so a decoder does not
 * know sources, and a counter does not know views. Every room may import `system`, unless {@link PURE} forbids that.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'system/program': [],
  'system/timers': [],
  system: ['system/program', 'system/timers'],
  terminal: [],
  trace: [],
  'decode/text': [],
  'decode/zstd': [],
  'decode/format': ['trace', 'decode/text'],
  'decode/reasons': ['trace'],
  'decode/qemu': ['trace', 'decode/text', 'decode/reasons'],
  'decode/kvm/exit': ['trace', 'decode/text', 'decode/format', 'decode/reasons'],
  'decode/kvm/index': ['trace', 'decode/text', 'decode/format', 'decode/reasons', 'decode/kvm/exit'],
  'decode/kvm': ['trace', 'decode/text', 'decode/format', 'decode/reasons', 'decode/kvm/exit', 'decode/kvm/index'],
  'decode/statistics': ['trace'],
  'decode/ftrace': ['trace', 'decode/text', 'decode/format', 'decode/reasons', 'decode/qemu', 'decode/kvm'],
  'decode/trace-dat': ['decode/format', 'decode/ftrace'],
  'decode/perf-data': ['trace', 'decode/format', 'decode/ftrace', 'decode/kvm', 'decode/trace-dat', 'decode/zstd'],
  'source/tracefs/control': [],
  'source/tracefs': ['trace', 'decode', 'source/tracefs/control'],
  'source/files': ['trace', 'decode'],
  'source/qemu': ['decode'],
  'source/statistics': ['trace', 'decode', 'source/qemu'],
  'source/recording/pages': ['trace', 'decode', 'source/tracefs'],
  'source/recording/formats': ['trace', 'decode', 'source/recording/pages'],
  'source/recording': ['trace', 'decode', 'source/tracefs', 'source/recording/pages', 'source/recording/formats'],
  'vm/identify': [],
  'vm/host': [],
  'vm/usage': ['vm/host'],
  'vm/tables': ['vm/identify'],
  vm: ['vm/identify', 'vm/host', 'vm/tables'],
  'vm/sockets': ['vm', 'vm/host', 'vm/tables'],
  'count/counters': ['trace'],
  'count/indices': ['trace', 'count/counters'],
  'count/vcpu': ['trace', 'count/counters', 'count/indices'],
  'count/time': [],
  'count/qemu': ['trace', 'count/counters', 'count/vcpu'],
  'count/statistics': ['trace'],
  'count/totals': ['count/counters', 'count/time', 'count/vcpu'],
  'count/sampling': ['trace', 'count/counters', 'count/statistics', 'count/vcpu', 'count/totals'],
  count: [
    'trace',
    'count/counters',
    'count/indices',
    'count/vcpu',
    'count/time',
    'count/qemu',
    'count/statistics',
    'count/totals',
    'count/sampling',
  ],
  audit: [],
  'snapshot/tables': ['trace', 'count', 'audit'],
  'snapshot/tables/indices': ['trace', 'count', 'snapshot/tables/row-table.ts'],
  'snapshot/tables/statistics': ['trace', 'count', 'audit', 'snapshot/tables'],
  snapshot: ['trace', 'count', 'audit', 'snapshot/tables'],
  'advice/rules': ['count/indices', 'count/time', 'snapshot/tables'],
  advice: ['count/counters', 'count/time', 'count/vcpu', 'snapshot', 'advice/rules'],
  expose: ['snapshot', 'count'],
  'expose/otlp': ['snapshot', 'count', 'expose/own-process.ts'],
  'expose/report': ['snapshot', 'count', 'audit', 'advice'],
  'expose/diff': ['snapshot', 'expose/report'],
  rates: ['trace', 'count', 'snapshot', 'advice'],
  history: ['count', 'snapshot', 'rates'],
  'web/connections': [],
  'web/access': ['web/connections'],
  'web/metrics': ['expose', 'web/access'],
  'web/page': [],
  web: ['snapshot', 'advice', 'rates', 'history', 'expose', 'web/metrics', 'web/access', 'web/connections', 'web/page'],
  kubernetes: ['count'],
  config: ['trace', 'advice'],
  'config/completion': ['config'],
  'agent/statistics': ['trace', 'decode', 'source', 'vm', 'count', 'audit'],
  'agent/pace': ['trace', 'decode', 'count'],
  'agent/sampling': [],
  agent: [
    'trace',
    'decode',
    'source',
    'vm',
    'count',
    'audit',
    'snapshot',
    'agent/pace',
    'agent/statistics',
    'agent/sampling',
  ],
  'agent/recording': ['trace', 'decode', 'source', 'vm', 'count', 'agent'],
  'commands/serving': [
    'config',
    'vm',
    'count/stepwise.ts',
    'snapshot',
    'advice',
    'rates',
    'history',
    'expose',
    'web',
    'kubernetes',
  ],
  'commands/live': [
    'trace',
    'config',
    'source/tracefs/control/buffer-size.ts',
    'vm',
    'count',
    'audit',
    'snapshot',
    'advice',
    'rates',
    'expose',
    'agent',
    'commands/serving',
  ],
  'commands/top': [
    'config',
    'snapshot',
    'advice',
    'count',
    'rates',
    'expose',
    'terminal',
    'agent',
    'commands/serving',
    'commands/live',
  ],
  'commands/check': ['config', 'decode', 'source', 'vm', 'kubernetes', 'commands/serving'],
  commands: [
    'trace',
    'config',
    'decode',
    'source',
    'vm',
    'count',
    'audit',
    'snapshot',
    'expose',
    'agent',
    'commands/serving',
    'commands/live',
  ],
  'cli.ts': ['config', 'commands'],
  'main.ts': ['cli.ts'],
};

/** Rooms and files that do not know the host: they import no Node.js module and use no clock. */
const PURE = [
  'trace',
  'decode',
  'count',
  'audit',
  'snapshot',
  'advice',
  'history',
  'vm/identify',
  'vm/tables',
  'vm/recorded-threads.ts',
  'kubernetes/pod.ts',
  'rates/access-rates.ts',
  'rates/observation.ts',
  'rates/period.ts',
  'rates/reason-rates.ts',
  'rates/statistic-rates.ts',
  'rates/time-shares.ts',
  'rates/vm-detail.ts',
  'rates/vm-row.ts',
  'commands/top/sort.ts',
  'commands/top/ui-state.ts',
];

const ROOT_FILES = ['cli.ts', 'main.ts'];
const MAX_FILES = 15;

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const textOf = (file: string) => readFileSync(join(SRC, file), 'utf8');

interface Import {
  readonly from: string;
  /** Path in src/ of an own file, or the name of a module. */
  readonly to: string;
  readonly isModule: boolean;
}

const IMPORT = /(?:^|\s)(?:import|export)\s[^;]*?from '([^']+)'|import\('([^']+)'\)/g;
const imports = files.flatMap((from) =>
  [...textOf(from).matchAll(IMPORT)].map((match): Import => {
    const name = match[1] ?? match[2] ?? '';
    const isModule = !name.startsWith('.');
    const path = relative(SRC, normalize(join(SRC, dirname(from), name))).replace(/\.js$/, '.ts');
    return { from, to: isModule ? name : path, isModule };
  }),
);

const roomOf = (file: string) => (file.includes('/') ? dirname(file) : file);
const isIn = (file: string, rooms: readonly string[]) =>
  rooms.some((room) => file === room || file.startsWith(`${room}/`));
const show = ({ from, to }: Import) => `src/${from} imports ${to}`;

function assertNone(wrong: readonly string[], advice: string): void {
  assert.equal(wrong.length, 0, `${advice}:\n${wrong.map((line) => `  ${line}`).join('\n')}`);
}

test('every room is listed', () => {
  const rooms = new Set(files.map(roomOf));
  assertNone(
    [...rooms].filter((room) => !(room in ROOMS)),
    'add these rooms to ROOMS in test/architecture.test.ts, and to docs/architecture.md',
  );
  assertNone(
    Object.keys(ROOMS).filter((room) => !rooms.has(room)),
    'these rooms have no files; remove them from ROOMS in test/architecture.test.ts',
  );
});

test('rooms import only the rooms that they may import', () => {
  const wrong = imports.filter(({ from, to, isModule }) => {
    const allowed = ['system', ...(ROOMS[roomOf(from)] ?? [])];
    return !isModule && roomOf(to) !== roomOf(from) && !isIn(to, allowed);
  });
  assertNone(
    wrong.map(
      (each) => `${show(each)}; ${roomOf(each.from)} may import ${ROOMS[roomOf(each.from)]?.join(', ') || '-'}`,
    ),
    'move what is needed to a lower room, pass it as an argument, or allow the import in ROOMS',
  );
});

test('no room may import a room above it', () => {
  const floors = Object.keys(ROOMS);
  const wrong = Object.entries(ROOMS).flatMap(([room, allowed]) => {
    const above = floors.slice(floors.indexOf(room) + 1);
    return above
      .filter((other) => isIn(other, allowed))
      .map((other) => `${room} may import ${other}, which is above it`);
  });
  assertNone(wrong, 'the order of ROOMS is that of the data; find another place for what is imported');
});

test('decoders and counters do not know the host', () => {
  assertNone(
    imports.filter(({ from, to, isModule }) => isIn(from, PURE) && (isModule || isIn(to, ['system']))).map(show),
    'pass what is needed as an argument, or as a method of an interface',
  );
  const CLOCK = /Date\.now|new Date|performance\.\w|process\.\w|setTimeout/;
  assertNone(
    files.filter((file) => isIn(file, PURE) && CLOCK.test(textOf(file))).map((file) => `src/${file}`),
    'pass the time as an argument',
  );
});

test('only the scripts of the pages use what only browsers have', () => {
  const BROWSER =
    /<reference lib="dom"|\b(?:HTML\w*Element|DOMParser|localStorage|matchMedia|document\.(?:get|create|query))/;
  const uses = files.filter((file) => BROWSER.test(textOf(file)));
  assertNone(
    uses.filter((file) => !isIn(file, ['web/page'])).map((file) => `src/${file}`),
    'the compiler knows the DOM everywhere, so move this to src/web/page',
  );
  assert.ok(uses.length > 3);
});

test('only the program and config read arguments and environment variables', () => {
  assertNone(
    files
      .filter((file) => /process\.(argv|env)/.test(textOf(file)) && !isIn(file, ['cli.ts', 'config']))
      .map((file) => `src/${file}`),
    'add an option in src/config/options.ts, and pass its value',
  );
});

test(`a folder has at most ${MAX_FILES} files, and the root of src has two`, () => {
  assert.deepEqual(files.filter((file) => !file.includes('/')).sort(), ROOT_FILES);
  const wrong = Object.keys(ROOMS)
    .map((room) => ({ room, count: files.filter((file) => roomOf(file) === room).length }))
    .filter(({ count }) => count > MAX_FILES)
    .map(({ room, count }) => `src/${room} has ${count}`);
  assertNone(wrong, 'divide these folders by what their files are about');
});

test('the checks see files and imports', () => {
  assertNone(
    PURE.filter((room) => !files.some((file) => isIn(file, [room]))),
    'these rooms and files do not exist; correct PURE in test/architecture.test.ts',
  );
  assert.ok(files.length > 100 && imports.length > 500, `${files.length} files, ${imports.length} imports`);
});
