/** Options from command line, environment and file: what holds, and what is said about mistakes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Environment, variableOf } from '../../src/config/environment.js';
import { helpText } from '../../src/config/help.js';
import { COMMANDS, OPTIONS } from '../../src/config/options.js';
import { type Invocation, parseCommandLine } from '../../src/config/parse-command-line.js';
import { AgentError } from '../../src/system/errors.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'config-'));
after(() => rmSync(FOLDER, { recursive: true }));

let files = 0;
function file(text: string): string {
  const path = join(FOLDER, `${++files}.yml`);
  writeFileSync(path, text);
  return path;
}

function parse(argv: string[], environment: Environment = {}, yaml?: string): Invocation {
  return parseCommandLine(yaml === undefined ? argv : [...argv, `--config.file=${file(yaml)}`], environment);
}

/** The lines that are said, with the file's name cut to `FILE`. */
function problems(argv: string[], environment: Environment = {}, yaml?: string): string[] {
  try {
    parse(argv, environment, yaml);
  } catch (error) {
    assert.ok(error instanceof AgentError, String(error));
    return error.message.split('\n').map((line) => line.replace(/^\/\S+?\.yml/, 'FILE'));
  }
  return [];
}

test('the command line goes before the environment, the environment before the file, the file before the default', () => {
  const yaml = 'limit.series: 300\nlog:\n  level: warn\nvm.grace-period: 7m\n';
  const environment = { KVM_EXIT_EXPORTER_LIMIT_SERIES: '200', KVM_EXIT_EXPORTER_LOG_LEVEL: 'error' };
  const { get } = parse(['run', '--limit.series=100'], environment, yaml);
  assert.deepEqual(
    [get('limit.series'), get('log.level'), get('vm.grace-period'), get('log.format')],
    ['100', 'error', '7m', 'logfmt'],
  );
});

test('every option can be given in each of the three ways', () => {
  const examples: Record<string, string> = {
    DURATION: '3s',
    NUMBER: '700',
    BYTES: '1M',
    NAME: 'x',
    PATH: '/x',
    URL: 'http://x:1',
    '[HOST]:PORT': ':1',
    'SYSTEM:EVENT,...': 'kvm:x',
  };
  for (const option of OPTIONS.filter(({ flag }) => flag !== 'config.file')) {
    const { flag, type } = option;
    const metavar = 'value' in option ? option.value : '';
    const value =
      type === 'boolean'
        ? 'false'
        : (examples[metavar] ?? (metavar.includes('|') ? metavar.split('|').at(-1) : 'x') ?? '');
    const command =
      option.commands.find((name) => COMMANDS.some((known) => known.name === name && known.usage === '')) ??
      option.commands[0];
    const paths = COMMANDS.find(({ name }) => name === command)?.usage === '' ? [] : ['path'];
    assert.equal(parse([command, ...paths, `--${flag}=${value}`]).get(flag), value);
    assert.equal(parse([command, ...paths], { [variableOf(flag)]: value }).get(flag), value, variableOf(flag));
    const reads = OPTIONS.find((each) => each.flag === 'config.file')?.commands as readonly string[];
    if (reads.includes(command))
      assert.equal(parse([command, ...paths], {}, `${flag}: '${value}'`).get(flag), value, flag);
  }
});

const FILES: readonly { name: string; yaml: string; want: Record<string, readonly string[]> }[] = [
  { name: 'nested', yaml: 'web:\n  listen-address: ":1"\n', want: { 'web.listen-address': [':1'] } },
  { name: 'with dots', yaml: 'web.listen-address: ":1"\n', want: { 'web.listen-address': [':1'] } },
  { name: 'half and half', yaml: 'web:\n  config.file: /w\n', want: { 'web.config.file': ['/w'] } },
  {
    name: 'as a list',
    yaml: 'web.listen-address: [":1", "[::1]:2"]\n',
    want: { 'web.listen-address': [':1', '[::1]:2'] },
  },
  {
    name: 'an option that others begin with',
    yaml: 'collector:\n  io: false\n  io.addresses: 5\n',
    want: { 'collector.io': ['false'], 'collector.io.addresses': ['5'] },
  },
  { name: 'numbers as they are written', yaml: 'limit.series: 0100\n', want: { 'limit.series': ['0100'] } },
  { name: 'nothing at all', yaml: '', want: { 'log.level': ['info'] } },
  { name: 'comments only', yaml: '# nothing\n', want: { 'log.level': ['info'] } },
];
for (const { name, yaml, want } of FILES)
  test(`a file may say it ${name}`, () => {
    const { getAll } = parse(['run'], {}, yaml);
    for (const [flag, values] of Object.entries(want)) assert.deepEqual(getAll(flag as 'web.listen-address'), values);
  });

test('lists: from flags, from a variable with commas, and the default where nobody says anything', () => {
  const flags = ['run', '--web.listen-address=:1', '--web.listen-address=:2'];
  assert.deepEqual(parse(flags, { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: ':9' }).getAll('web.listen-address'), [
    ':1',
    ':2',
  ]);
  assert.deepEqual(parse([], { KVM_EXIT_EXPORTER_WEB_LISTEN_ADDRESS: ':3, :4' }).getAll('web.listen-address'), [
    ':3',
    ':4',
  ]);
  assert.deepEqual(parse([]).getAll('web.listen-address'), [':10586']);
});

test('all mistakes of all three are told at once, each with where it was made', () => {
  const environment = { KVM_EXIT_EXPORTER_LOG_LEVEL: 'loud', KVM_EXIT_EXPORTER_LOGLEVEL: 'info' };
  const yaml = 'limit:\n  series: many\n  serie: 5\nvm.grace-period: 5\nlog.format: [json, logfmt]\nqemu.log: {a: b}\n';
  assert.deepEqual(
    problems(['run', '--web.listen-adress=:1', '--otlp.interval=soon', '--collector.io=maybe', 'x'], environment, yaml),
    [
      'unknown option --web.listen-adress; did you mean --web.listen-address? (--help lists them)',
      '--otlp.interval=soon: expected a duration such as 30s, 5m or 1h',
      '--collector.io=maybe: expected true or false',
      'run takes no argument, but got x',
      'KVM_EXIT_EXPORTER_LOG_LEVEL=loud: expected debug, info, warn or error',
      'unknown variable KVM_EXIT_EXPORTER_LOGLEVEL; did you mean KVM_EXIT_EXPORTER_LOG_LEVEL?',
      'FILE:2: limit.series=many: expected a number',
      'FILE:3: unknown option limit.serie; did you mean limit.series?',
      'FILE:4: vm.grace-period=5: expected a duration such as 30s, 5m or 1h',
      'FILE:5: log.format: expected one value, not a list',
      'FILE:6: qemu.log: expected a value',
    ],
  );
});

test('what is too little, or no URL, is told with everything else', () => {
  assert.deepEqual(
    problems(['run', '--limit.series=99', '--limit.label-length=1', '--otlp.endpoint=collector:4318', '--log.level=x']),
    [
      '--limit.series=99: expected at least 100',
      '--limit.label-length=1: expected at least 32',
      '--otlp.endpoint=collector:4318: expected a URL such as http://localhost:4318',
      '--log.level=x: expected debug, info, warn or error',
    ],
  );
});

for (const [given, want] of [
  ['--web.listen', '; did you mean --web.listen-address?'],
  ['--web.config', '; did you mean --web.config.file?'],
  ['--colector.io', '; did you mean --collector.io?'],
  ['--xyz', ''],
  ['--qmp', ''],
  ['--listen', ''],
] as const)
  test(`${given} is ${want === '' ? 'like no option of run' : `unknown${want}`}`, () =>
    assert.deepEqual(problems(['run', given]), [`unknown option ${given}${want} (--help lists them)`]));

const BAD_FILES: readonly { name: string; yaml: string; want: RegExp }[] = [
  { name: 'no YAML', yaml: 'a: [1\nb: 2', want: /^FILE:2: / },
  { name: 'a list', yaml: '- a\n', want: /^FILE:1: expected "option: value" lines$/ },
  { name: 'a word', yaml: 'hello', want: /^FILE:1: expected "option: value" lines$/ },
  { name: 'the same key twice', yaml: 'log.level: info\nlog.level: warn\n', want: /^FILE:2: Map keys must be unique$/ },
  {
    name: 'the same option twice',
    yaml: 'log.level: info\nlog: {level: warn}\n',
    want: /^FILE:2: log.level a second time; first at /,
  },
  { name: 'an option without a value', yaml: 'log.level:\n', want: /^FILE:1: log.level needs a value: / },
  { name: 'an alias', yaml: 'log: &a {level: info}\nweb: *a\n', want: /^FILE:2: web: |^FILE:2: unknown option web/ },
  {
    name: 'a file that it names',
    yaml: 'config.file: x\n',
    want: /^FILE:1: config.file cannot stand in the file itself$/,
  },
  { name: 'an unknown group', yaml: 'wbe: {listen-address: ":1"}\n', want: /^FILE:1: unknown option wbe/ },
];
for (const { name, yaml, want } of BAD_FILES)
  test(`a file with ${name} is refused`, () => {
    const [first = '', ...more] = problems(['run'], {}, yaml);
    assert.match(first, want);
    assert.deepEqual(more, []);
  });

test('a file that is not there is said to be so', () => {
  assert.deepEqual(problems(['run', '--config.file=/nowhere/x.yml']), ['--config.file: /nowhere/x.yml: no such file']);
  assert.deepEqual(problems([], { KVM_EXIT_EXPORTER_CONFIG_FILE: '/nowhere/x.yml' }), [
    '--config.file: /nowhere/x.yml: no such file',
  ]);
});

test('variables that Kubernetes makes of a service called kvm-exit-exporter are not taken for options', () => {
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

test('an empty variable is not set, and one for another command does no harm', () => {
  const { get } = parse([], { KVM_EXIT_EXPORTER_LOG_LEVEL: '', KVM_EXIT_EXPORTER_FORMAT: 'json' });
  assert.equal(get('log.level'), 'info');
});

test('no option is called in a way that makes two of them one variable', () => {
  const names = OPTIONS.map(({ flag }) => variableOf(flag));
  assert.equal(new Set(names).size, names.length);
});

test('--help names every option and command, in lines that fit a terminal', () => {
  const text = helpText();
  for (const { flag } of OPTIONS) assert.ok(text.includes(`${flag}`), flag);
  for (const { name } of COMMANDS) assert.ok(text.includes(`\n  ${name}`), name);
  assert.deepEqual(
    text.split('\n').filter((line) => line.length > 90),
    [],
  );
});

test('--help behind a command shows the options of that command', () => {
  const { command, paths } = parse(['check', '--help']);
  assert.deepEqual([command, paths], ['help', ['check']]);
  assert.match(helpText('check'), /--path\.tracefs/);
  assert.doesNotMatch(helpText('check'), /--web\.|--output/);
});
