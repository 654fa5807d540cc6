/** Options from command line, environment and file: which value wins, and how mistakes are reported. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { COMMANDS } from '../../src/config/commands.js';
import { type Environment, variableOf } from '../../src/config/environment.js';
import { helpText } from '../../src/config/help.js';
import { type Flag, isToggle, OPTIONS, type Option } from '../../src/config/options.js';
import { type Invocation, parseCommandLine } from '../../src/config/parse-command-line.js';
import { AgentError } from '../../src/system/errors.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'config-'));
after(() => rmSync(FOLDER, { recursive: true }));

const port = (number: number) => ({ host: undefined, port: number });

let files = 0;
function file(text: string): string {
  const path = join(FOLDER, `${++files}.yml`);
  writeFileSync(path, text);
  return path;
}

function parse(argv: string[], environment: Environment = {}, yaml?: string): Invocation {
  return parseCommandLine(yaml === undefined ? argv : [...argv, `--config.file=${file(yaml)}`], environment);
}

/** The lines of the error message, with the file's name cut to `FILE`. */
function problems(argv: string[], environment: Environment = {}, yaml?: string): string[] {
  try {
    parse(argv, environment, yaml);
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return error.message.split('\n').map((line) => line.replace(/^\/\S+?\.yml/, 'FILE'));
  }
  return [];
}

test('the command line overrides the environment, the environment the file, the file the default', () => {
  const yaml = 'limit.series: 300\nlog:\n  level: warn\nvm.grace-period: 7m\n';
  const environment = { KVM_EXIT_EXPORTER_LIMIT_SERIES: '200', KVM_EXIT_EXPORTER_LOG_LEVEL: 'error' };
  const { get } = parse(['run', '--limit.series=100'], environment, yaml);
  assert.deepEqual(
    [get('limit.series'), get('log.level'), get('vm.grace-period'), get('log.format')],
    [100, 'error', 420, 'logfmt'],
  );
});

test('every option can be set by a flag, a variable and the file', () => {
  const examples: Record<string, string> = {
    DURATION: '3s',
    TIME: '3s',
    PERCENT: '10%',
    NUMBER: '700',
    BYTES: '1M',
    NAME: 'hpet',
    PATH: '/x',
    URL: 'http://x:1',
    '[HOST]:PORT': ':1',
    'SYSTEM:EVENT,...': 'kvm:x',
  };
  const fileReaders: readonly string[] = OPTIONS.find(({ flag }) => flag === 'config.file')?.commands ?? [];
  const options: readonly (Option & { readonly flag: Flag })[] = OPTIONS;
  for (const option of options.filter(({ flag }) => flag !== 'config.file')) {
    const { flag, type, multiple } = option;
    const { placeholder } = type;
    const text = isToggle(option)
      ? 'false'
      : (examples[placeholder] ?? (placeholder.includes('|') ? placeholder.split('|').at(-1) : 'x') ?? '');
    const value = multiple === true ? [type.read(text)] : type.read(text);
    const isPlain = (name: string) => COMMANDS.some((known) => known.name === name && known.usage === '');
    const command = option.commands.find(isPlain) ?? option.commands[0] ?? '';
    const operands = isPlain(command) ? [] : ['path'];
    const needed = command === 'record' && flag !== 'output' ? ['-o', 'x'] : [];
    const words = [command, ...operands, ...needed];
    assert.deepEqual(parse([...words, `--${flag}=${text}`]).get(flag), value);
    assert.deepEqual(parse(words, { [variableOf(flag)]: text }).get(flag), value, variableOf(flag));
    if (fileReaders.includes(command)) assert.deepEqual(parse(words, {}, `${flag}: '${text}'`).get(flag), value, flag);
  }
});

const FILES: readonly { name: string; yaml: string; want: Partial<Record<Flag, unknown>> }[] = [
  { name: 'nested', yaml: 'web:\n  listen-address: ":1"\n', want: { 'web.listen-address': [port(1)] } },
  { name: 'with dots', yaml: 'web.listen-address: ":1"\n', want: { 'web.listen-address': [port(1)] } },
  { name: 'partly nested', yaml: 'web:\n  config.file: /w\n', want: { 'web.config.file': '/w' } },
  {
    name: 'as a list',
    yaml: 'web.listen-address: [":1", "[::1]:2"]\n',
    want: { 'web.listen-address': [port(1), { host: '::1', port: 2 }] },
  },
  {
    name: 'whose names are prefixes of longer ones',
    yaml: 'collector:\n  io: false\n  io.addresses: 5\n',
    want: { 'collector.io': false, 'collector.io.addresses': 5 },
  },
  { name: 'with leading zeros', yaml: 'limit.series: 0100\n', want: { 'limit.series': 100 } },
  { name: 'or be empty', yaml: '', want: { 'log.level': 'info' } },
  { name: 'or comments only', yaml: '# nothing\n', want: { 'log.level': 'info' } },
];
for (const { name, yaml, want } of FILES)
  test(`a file may hold options ${name}`, () => {
    const { get } = parse(['run'], {}, yaml);
    for (const [flag, value] of Object.entries(want)) assert.deepEqual(get(flag as Flag), value);
  });

test('lists come from flags, from a variable with commas, and from the default', () => {
  const flags = ['run', '--web.listen-address=:1', '--web.listen-address=:2'];
  assert.deepEqual(parse(flags, { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: ':9' }).get('web.listen-address'), [
    port(1),
    port(2),
  ]);
  assert.deepEqual(parse([], { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: ':3, :4' }).get('web.listen-address'), [
    port(3),
    port(4),
  ]);
  assert.deepEqual(parse([]).get('web.listen-address'), [port(10586)]);
});

test('all mistakes in all three are reported at once, each with its place', () => {
  const environment = { KVM_EXIT_EXPORTER_LOG_LEVEL: 'loud', KVM_EXIT_EXPORTER_LOGLEVEL: 'info' };
  const yaml =
    'limit:\n  series: many\n  serie: 5\nvm.grace-period: 5\nlog.format: [json, logfmt]\nqemu.simple: {a: b}\n';
  assert.deepEqual(
    problems(['run', '--web.listen-adress=:1', '--otlp.interval=soon', '--collector.io=maybe', 'x'], environment, yaml),
    [
      'unknown option --web.listen-adress; did you mean --web.listen-address? (--help lists them)',
      '--otlp.interval=soon: expected a duration from 100ms to 24h',
      '--collector.io=maybe: expected true or false',
      'run takes no argument, but got x',
      'KVM_EXIT_EXPORTER_LOG_LEVEL=loud: expected debug, info, warn or error',
      'unknown variable KVM_EXIT_EXPORTER_LOGLEVEL; did you mean KVM_EXIT_EXPORTER_LOG_LEVEL?',
      'FILE:2: limit.series=many: expected a number of at least 100',
      'FILE:3: unknown option limit.serie; did you mean limit.series?',
      'FILE:4: vm.grace-period=5: expected a duration such as 30s, 5m or 1h',
      'FILE:5: log.format: expected one value, not a list',
      'FILE:6: qemu.simple: expected a value',
    ],
  );
});

test('values that are too small, and what is not a URL, are reported with all other mistakes', () => {
  assert.deepEqual(
    problems(['run', '--limit.series=99', '--limit.label-length=1', '--otlp.endpoint=collector:4318', '--log.level=x']),
    [
      '--limit.series=99: expected a number of at least 100',
      '--limit.label-length=1: expected a number of at least 32',
      '--otlp.endpoint=collector:4318: expected a URL such as http://localhost:4318',
      '--log.level=x: expected debug, info, warn or error',
    ],
  );
});

for (const [given, want] of [
  ['off', 'off'],
  ['auto', 'auto'],
  ['2s/60s', { windowSeconds: 2, periodSeconds: 60 }],
  ['1s/2s', { windowSeconds: 1, periodSeconds: 2 }],
  ['1.5s/1h', { windowSeconds: 1.5, periodSeconds: 3600 }],
] as const)
  test(`--sampling=${given} is understood`, () => {
    assert.deepEqual(parse(['run', `--sampling=${given}`]).get('sampling'), want);
  });

for (const given of ['on', '2s', '2/60', '999ms/60s', '31s/60s', '1s/61m', '2s/60s/1', '/', '2s/', '-2s/60s'])
  test(`--sampling=${given} is refused`, () => {
    assert.deepEqual(problems(['run', `--sampling=${given}`]), [
      `--sampling=${given}: expected off, auto, or WINDOW/PERIOD such as 2s/60s: a window of at least 1s, at most half of its period, which is at most 1h`,
    ]);
  });

for (const [given, want] of [
  ['--web.listen', '; did you mean --web.listen-address?'],
  ['--web.config', '; did you mean --web.config.file?'],
  ['--colector.io', '; did you mean --collector.io?'],
  ['--xyz', ''],
  ['--qmp', ''],
  ['--listen', ''],
] as const)
  test(`${given} is ${want === '' ? 'unlike every option of run' : `unknown${want}`}`, () =>
    assert.deepEqual(problems(['run', given]), [`unknown option ${given}${want} (--help lists them)`]));

const BAD_FILES: readonly { name: string; yaml: string; want: RegExp }[] = [
  { name: 'no YAML', yaml: 'a: [1\nb: 2', want: /^FILE:2: / },
  { name: 'a list', yaml: '- a\n', want: /^FILE:1: expected "option: value" lines$/ },
  { name: 'a word', yaml: 'hello', want: /^FILE:1: expected "option: value" lines$/ },
  { name: 'the same key twice', yaml: 'log.level: info\nlog.level: warn\n', want: /^FILE:2: Map keys must be unique$/ },
  {
    name: 'the same option twice',
    yaml: 'log.level: info\nlog: {level: warn}\n',
    want: /^FILE:2: log.level is set twice; first at /,
  },
  { name: 'an option without a value', yaml: 'log.level:\n', want: /^FILE:1: log.level needs a value: / },
  { name: 'an alias', yaml: 'log: &a {level: info}\nweb: *a\n', want: /^FILE:2: web: |^FILE:2: unknown option web/ },
  {
    name: 'a file that it names',
    yaml: 'config.file: x\n',
    want: /^FILE:1: config.file cannot be set in the file itself$/,
  },
  { name: 'an unknown group', yaml: 'wbe: {listen-address: ":1"}\n', want: /^FILE:1: unknown option wbe/ },
];
for (const { name, yaml, want } of BAD_FILES)
  test(`a file with ${name} is refused`, () => {
    const [first = '', ...more] = problems(['run'], {}, yaml);
    assert.match(first, want);
    assert.deepEqual(more, []);
  });

test('a missing file is reported by name', () => {
  assert.deepEqual(problems(['run', '--config.file=/nowhere/x.yml']), ['--config.file: /nowhere/x.yml: no such file']);
  assert.deepEqual(problems([], { KVM_EXIT_EXPORTER_CONFIG_FILE: '/nowhere/x.yml' }), [
    '--config.file: /nowhere/x.yml: no such file',
  ]);
});

test('variables that Kubernetes sets for a service called kvm-exit-exporter are not options', () => {
  const environment = {
    KVM_EXIT_EXPORTER_SERVICE_HOST: '10.0.0.1',
    KVM_EXIT_EXPORTER_SERVICE_PORT: '10586',
    KVM_EXIT_EXPORTER_SERVICE_PORT_METRICS: '10586',
    KVM_EXIT_EXPORTER_PORT: 'tcp://10.0.0.1:10586',
    KVM_EXIT_EXPORTER_PORT_10586_TCP: 'tcp://10.0.0.1:10586',
    KVM_EXIT_EXPORTER_PORT_10586_TCP_ADDR: '10.0.0.1',
    KVM_EXIT_EXPORTER_PORT_10586_TCP_PROTO: 'tcp',
  };
  assert.deepEqual(problems([], environment), []);
});

test('the options that a command cannot do without are asked for with all other mistakes', () => {
  assert.deepEqual(problems(['record', '--duration=soon']), [
    '--duration=soon: expected a duration such as 30s, 5m or 1h',
    'record needs --output=FILE (-o FILE)',
  ]);
  assert.deepEqual(problems(['qemu', 'status']), ['qemu needs --qmp=SOCKET']);
});

test('every default is a value of its option', () => {
  for (const { flag, type, default: shared, defaults = {} } of OPTIONS as readonly Option[])
    for (const text of [shared ?? [], Object.values(defaults)].flat())
      assert.notEqual(type.read(text), undefined, flag);
});

test('an empty variable counts as not set, and a variable for another command does no harm', () => {
  const { get } = parse([], { KVM_EXIT_EXPORTER_LOG_LEVEL: '', KVM_EXIT_EXPORTER_FORMAT: 'json' });
  assert.equal(get('log.level'), 'info');
});

test('no two options share a variable', () => {
  const names = OPTIONS.map(({ flag }) => variableOf(flag));
  assert.equal(new Set(names).size, names.length);
});

test('--help names every option and command, in lines that fit a terminal', () => {
  const text = helpText();
  const shown = [...text.matchAll(/^ {2}(?:-\w \S+, )?--(?:\[no-\])?([\w.-]+)/gm)].map(([, flag]) => flag);
  assert.deepEqual(shown.slice(0, -1).sort(), OPTIONS.map(({ flag }) => flag).sort());
  for (const { name } of COMMANDS) assert.ok(text.includes(`\n  ${name}`), name);
  assert.deepEqual(
    text.split('\n').filter((line) => line.length > 90),
    [],
  );
});

test('--help after a command shows the options of that command', () => {
  const { command, operands } = parse(['check', '--help']);
  assert.deepEqual([command, operands], ['help', ['check']]);
  assert.match(helpText('check'), /--path\.tracefs/);
  assert.doesNotMatch(helpText('check'), /--web\.|--output/);
});
