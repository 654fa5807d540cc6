import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '../../src');

/** Files anywhere may import these. */
const SHARED = ['agent-error.ts', 'log.ts'];

/** Folder -> folders (and files of src/) that it may import besides itself and SHARED. The data's way, never back. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'trace-sink.ts': ['decode'], // the type of its name tables
  decode: ['trace-sink.ts'],
  source: ['decode', 'trace-sink.ts'],
  vm: [],
  count: ['trace-sink.ts', 'decode', 'vm'],
  kubernetes: ['count'],
  expose: ['count'],
  web: ['config', 'count', 'expose', 'open-file-limit.ts'],
  config: [],
  commands: [
    'config',
    'count',
    'decode',
    'expose',
    'kubernetes',
    'source',
    'vm',
    'web',
    'trace-sink.ts',
    'version.ts',
    'agent.ts',
    'agent-options.ts',
    'attribution.ts',
  ],
  'agent-options.ts': ['attribution.ts', 'count', 'source', 'qemu-traces.ts'],
  'agent.ts': [
    'agent-options.ts',
    'attribution.ts',
    'pace.ts',
    'vm-devices.ts',
    'waiting.ts',
    'kernel-traces.ts',
    'qemu-traces.ts',
    'count',
    'vm',
  ],
  'kernel-traces.ts': ['agent-options.ts', 'waiting.ts', 'count', 'source', 'trace-sink.ts'],
  'qemu-traces.ts': ['file-owner.ts', 'count', 'decode', 'source', 'vm', 'trace-sink.ts'],
  'file-owner.ts': ['attribution.ts', 'vm'],
  'vm-devices.ts': ['decode', 'source', 'vm', 'trace-sink.ts'],
  'attribution.ts': ['count', 'vm', 'trace-sink.ts'],
  'main.ts': ['cli.ts', 'open-file-limit.ts'],
  'cli.ts': ['commands', 'config', 'version.ts'],
  'healthcheck.ts': ['config'],
};

/** What decoding and counting may not know: the host. */
const PURE = ['decode', 'count'];
const PURE_FILES = ['vm/cmdline.ts', 'vm/comm.ts', 'vm/cgroup.ts', 'vm/vm.ts', 'kubernetes/pod.ts'];

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

const part = (file: string) => file.split('/')[0] ?? '';

test('imports go with the data, never against it', () => {
  const wrong = imports
    .filter(({ to }) => to.startsWith('.'))
    .map(({ from, to }) => ({
      from,
      to: relative(SRC, normalize(join(SRC, dirname(from), to))).replace(/\.js$/, '.ts'),
    }))
    .filter(({ from, to }) => part(from) !== part(to) && !SHARED.includes(to) && !SHARED.includes(from))
    .filter(({ from, to }) => MAY_IMPORT[part(from)]?.includes(part(to)) !== true);
  assert.deepEqual(wrong, []);
});

test('decoders and counters know nothing of the host', () => {
  const pure = (file: string) => PURE.includes(part(file)) || PURE_FILES.includes(file);
  assert.deepEqual(
    imports.filter(({ from, to }) => pure(from) && !to.startsWith('.')),
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
    readers.filter((file) => !['cli.ts', 'healthcheck.ts'].includes(file) && part(file) !== 'config'),
    [],
  );
});

test('there are files to check', () => {
  assert.ok(files.length > 20 && imports.length > 50);
});
