import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '../../src');

/**
 * The rooms of src/ from the ground floor up, and the rooms below it that each may import. Data flows upwards: a decoder never knows a
 * source, a counter never knows a view. A room is a folder, or one of the three files at the root. Every room may import `system`
 * where {@link PURE} does not forbid it.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  system: [],
  trace: [],
  'decode/text': [],
  'decode/format': ['trace', 'decode/text'],
  'decode/reasons': ['trace'],
  'decode/qemu': ['trace', 'decode/text', 'decode/reasons'],
  'decode/kvm/exit': ['trace', 'decode/text', 'decode/format', 'decode/reasons'],
  'decode/kvm': ['trace', 'decode/text', 'decode/format', 'decode/reasons', 'decode/kvm/exit'],
  'decode/ftrace': ['trace', 'decode/text', 'decode/format', 'decode/reasons', 'decode/qemu', 'decode/kvm'],
  'source/tracefs': ['trace', 'decode'],
  'source/files': ['trace', 'decode'],
  'source/qemu': ['decode'],
  'source/recording/formats': ['trace', 'decode'],
  'source/recording': ['trace', 'decode', 'source/tracefs', 'source/recording/formats'],
  'vm/identify': [],
  'vm/host': [],
  vm: ['vm/identify', 'vm/host'],
  'count/counters': ['trace'],
  'count/vcpu': ['trace', 'count/counters'],
  'count/qemu': ['trace', 'count/counters', 'count/vcpu'],
  count: ['trace', 'count/counters', 'count/vcpu', 'count/qemu'],
  'snapshot/tables': ['trace', 'count'],
  snapshot: ['trace', 'count', 'snapshot/tables'],
  expose: ['snapshot', 'count'],
  'expose/otlp': ['snapshot', 'count'],
  'expose/report': ['snapshot'],
  'web/access': [],
  'web/metrics': ['expose', 'web/access'],
  web: ['snapshot', 'expose', 'web/metrics', 'web/access'],
  kubernetes: ['count'],
  config: ['trace'],
  agent: ['trace', 'decode', 'source', 'vm', 'count', 'snapshot'],
  'commands/serving': ['config', 'vm', 'snapshot', 'expose', 'web', 'kubernetes'],
  'commands/check': ['config', 'decode', 'source', 'vm'],
  commands: ['trace', 'config', 'decode', 'source', 'vm', 'count', 'snapshot', 'expose', 'agent', 'commands/serving'],
  'healthcheck.ts': ['config'],
  'cli.ts': ['config', 'commands'],
  'main.ts': ['cli.ts'],
};

/** Rooms and files that must not know the host: no `node:` import, no clock. */
const PURE = ['trace', 'decode', 'count', 'snapshot', 'vm/identify', 'vm/vm.ts', 'kubernetes/pod.ts'];

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap((from) =>
  [
    ...readFileSync(join(SRC, from), 'utf8').matchAll(
      /(?:^|\s)(?:import|export)\s[^;]*?from '([^']+)'|import\('([^']+)'\)/g,
    ),
  ].map((match): Import => ({ from, to: match[1] ?? match[2] ?? '' })),
);

const roomOf = (file: string) => (file.includes('/') ? dirname(file) : file);
const isIn = (file: string, rooms: readonly string[]) =>
  rooms.some((room) => file === room || file.startsWith(`${room}/`));

test('every room is on the plan', () => {
  assert.deepEqual([...new Set(files.map(roomOf))].sort(), Object.keys(ROOMS).sort());
});

test('imports go with the data, never against it', () => {
  const wrong = imports
    .filter(({ to }) => to.startsWith('.'))
    .map(({ from, to }) => ({
      from,
      to: relative(SRC, normalize(join(SRC, dirname(from), to))).replace(/\.js$/, '.ts'),
    }))
    .filter(({ from, to }) => roomOf(from) !== roomOf(to) && !isIn(to, ['system', ...(ROOMS[roomOf(from)] ?? [])]));
  assert.deepEqual(wrong, []);
});

test('no room imports a room above it', () => {
  const floors = Object.keys(ROOMS);
  const wrong = Object.entries(ROOMS).flatMap(([room, below]) =>
    below
      .flatMap((name) => floors.filter((other) => isIn(other, [name])))
      .filter((other) => floors.indexOf(other) >= floors.indexOf(room) && other !== room)
      .map((other) => `${room} -> ${other}`),
  );
  assert.deepEqual(wrong, []);
});

test('decoders and counters know nothing of the host', () => {
  const pure = (file: string) => isIn(file, PURE);
  assert.deepEqual(
    imports.filter(({ from, to }) => pure(from) && (!to.startsWith('.') || to.includes('/system/'))),
    [],
  );
  const clocks = files.filter(
    (file) =>
      pure(file) &&
      /Date\.now|new Date|performance\.\w|process\.\w|setTimeout/.test(readFileSync(join(SRC, file), 'utf8')),
  );
  assert.deepEqual(clocks, []);
});

test('only the two programs and the parser of options read argv and the environment', () => {
  const readers = files.filter((file) => /process\.(argv|env)/.test(readFileSync(join(SRC, file), 'utf8')));
  assert.deepEqual(
    readers.filter((file) => !isIn(file, ['cli.ts', 'healthcheck.ts', 'config'])),
    [],
  );
});

test('there are files to check', () => {
  assert.ok(files.length > 20 && imports.length > 50);
});
