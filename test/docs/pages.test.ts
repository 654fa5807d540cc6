/** The Markdown pages: their links lead to existing targets, and the program accepts the commands on them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { variableOf } from '../../src/config/environment.js';
import { isToggle, OPTIONS, type Option } from '../../src/config/options.js';
import { parseCommandLine } from '../../src/config/parse-command-line.js';
import { anchorsOf, codeLinesOf, inlineCodeOf, linksOf, pages } from '../support/markdown.js';
import { ROOT } from '../support/paths.js';

const PAGES = pages();
const FLAGS = OPTIONS.flatMap((option: Option): string[] =>
  isToggle(option) ? [option.flag, `no-${option.flag}`] : [option.flag],
);
const VARIABLES = OPTIONS.map(({ flag }) => variableOf(flag));
/** Lines with options of other programs that look like those of this one. */
const PROMETHEUS = /^\s*(prometheus|promtool)\b/;

test('links lead to existing files and headings', () => {
  const links = PAGES.flatMap(linksOf);
  assert.ok(links.length > 50);
  const broken = links.filter(({ path, anchor }) => {
    if (!existsSync(join(ROOT, path))) return true;
    const page = PAGES.find((candidate) => candidate.path === path);
    return anchor !== undefined && page !== undefined && !anchorsOf(page).includes(anchor);
  });
  assert.deepEqual(broken, []);
});

test('links and anchors are found on a page', () => {
  assert.deepEqual(
    linksOf({ path: 'docs/a.md', text: 'see [b](../b.md#c), [d](#e), `[f](g)`, [h](https://i)\n\n    [j](k)' }),
    [
      { from: 'docs/a.md', path: 'b.md', anchor: 'c' },
      { from: 'docs/a.md', path: 'docs/a.md', anchor: 'e' },
    ],
  );
  assert.deepEqual(anchorsOf({ path: '', text: '# A\n## TLS and passwords\n### `x.y`, why?\n' }), [
    'a',
    'tls-and-passwords',
    'xy-why',
  ]);
});

test('every page of docs/install is in its index', () => {
  const index = PAGES.filter(({ path }) => path === 'docs/install/README.md').flatMap(linksOf);
  const pagesOfFolder = PAGES.map(({ path }) => path).filter((path) => /^docs\/install\/(?!README)/.test(path));
  assert.deepEqual(
    pagesOfFolder.filter((path) => !index.some((link) => link.path === path)),
    [],
  );
});

test('every page is linked from another one', () => {
  const linked = new Set(
    PAGES.flatMap((page) => linksOf(page).filter(({ path, from }) => path !== from)).map(({ path }) => path),
  );
  // A link to a folder leads to its README.
  const isLinked = (path: string) => linked.has(path) || linked.has(path.replace(/\/README\.md$/, ''));
  assert.deepEqual(
    PAGES.map(({ path }) => path).filter((path) => /^(?:docs|deploy)\//.test(path) && !isLinked(path)),
    [],
  );
});

test('options and variables that pages name exist', () => {
  const named = PAGES.flatMap((page) =>
    [...codeLinesOf(page), ...inlineCodeOf(page)]
      .filter((line) => !PROMETHEUS.test(line))
      .flatMap((line) => [
        // Only options of this program contain dots.
        ...[...line.matchAll(/(?<![\w-])--([a-z-]+(?:\.[a-z-]+)+)/g)].map(([, flag = '']) => ({
          page: page.path,
          flag,
        })),
        ...[...line.matchAll(/\bKVM_EXIT_EXPORTER_[A-Z_]+\b/g)].map(([variable]) => ({ page: page.path, variable })),
      ]),
  );
  assert.ok(named.length > 50, `${named.length}`);
  const wrong = named.filter((one) =>
    'flag' in one
      ? !FLAGS.includes(one.flag)
      : !VARIABLES.includes(one.variable) && one.variable !== 'KVM_EXIT_EXPORTER_REQUIRE',
  );
  assert.deepEqual(wrong, []);
});

const EXAMPLE_FILE = join(ROOT, 'deploy/systemd/config.yml');

/** What may stand before the program on a command line: a prompt, variables, and a program that starts it. */
const STARTED_BY = String.raw`(?:\$ +)?(?:(?:[A-Z_]+=\S+|setpriv(?: --\S+)*) +)*`;
const PROGRAM = new RegExp(
  String.raw`^${STARTED_BY}(?:node build/src/main\.js|kvm-exit-exporter|docker run .* kvm-exit-exporter:\d\S*)(?= |$)(.*)$`,
);

/** The program's arguments, for each time that a line of code starts it; abridged ones are left out. */
function callsOn(line: string): string[][] {
  const commands = line.split(/\s(?:&&|\||[12]?>|#)\s?|;\s/).map((command) => command.trim());
  return commands
    .map((command) => PROGRAM.exec(command)?.[1])
    .filter((given) => given !== undefined && !/\.\.\.|…/.test(given))
    .map((given = '') => [...given.matchAll(/(?:'([^']*)'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", '')));
}

test('the program accepts the command lines on pages', () => {
  const calls = PAGES.flatMap((page) =>
    // In a sentence, `kvm-exit-exporter report` is the name of a command.
    [...codeLinesOf(page), ...inlineCodeOf(page).filter((code) => code.includes(' -'))].flatMap((line) =>
      callsOn(line).map((args) => ({ path: page.path, line, args })),
    ),
  );
  assert.ok(calls.length > 150, `${calls.length}`);
  for (const { path, line, args } of calls) {
    const withFile = args.map((arg) => arg.replace(/^--config\.file=.*/, `--config.file=${EXAMPLE_FILE}`));
    assert.doesNotThrow(() => parseCommandLine(withFile, {}), `${path}: ${line}`);
  }
});

test('commands are found on a line', () => {
  assert.deepEqual(callsOn("cat x | kvm-exit-exporter report - && A=1 kvm-exit-exporter run --vm 'a b' > y # z"), [
    ['report', '-'],
    ['run', '--vm', 'a b'],
  ]);
  assert.deepEqual(callsOn('setpriv --inh-caps=-all kvm-exit-exporter'), [[]]);
  assert.deepEqual(callsOn('kubectl -n kvm-exit-exporter logs POD'), []);
  assert.deepEqual(callsOn('kvm-exit-exporter run ...'), []);
});

test('scripts of package.json that pages run exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  const named = PAGES.flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm run (?:--silent )?([a-z]+)/g)].map(([, script = '']) => ({ path, script })),
  );
  assert.ok(named.length > 15);
  assert.deepEqual(
    named.filter(({ script }) => !Object.hasOwn(scripts, script)),
    [],
  );
});

test('files and folders of the repository that pages name exist', () => {
  // A recipe marks files that it creates by "(new)". What is below build/ is there once it is compiled.
  const FILE =
    /(?<![\w./-])(build\/)?((?:src|test|grafana|docs|deploy|packaging)\/[\w./-]*\w)\b(?![\w./-]* \(new\))(?!\*)/g;
  const named = PAGES.flatMap(({ path, text }) =>
    [...text.matchAll(FILE)].map(([, build, name = '']) => ({
      path,
      name: build === undefined ? name : name.replace(/\.js$/, '.ts'),
    })),
  );
  assert.ok(named.length > 150, `${named.length}`);
  assert.deepEqual(
    named.filter(({ name }) => !existsSync(join(ROOT, name))),
    [],
  );
});

test('tests that the tables of pages name exist', () => {
  const TEST =
    /\b(?:agent|cluster|commands|count|decode|e2e|expose|kubernetes|live|property|source|system|vm|web)(?:\/[\w-]+)*/g;
  const cells = PAGES.filter(({ path }) => /docs\/(?:reliability|figures)\.md$/.test(path)).flatMap(({ text }) =>
    text.split('\n').flatMap((line) => (line.startsWith('| ') ? (line.split(' | ').at(-1) ?? '') : [])),
  );
  const named = cells.flatMap((cell) => cell.match(TEST) ?? []).filter((name) => name.includes('/'));
  assert.ok(named.length > 80, `${named.length}`);
  const tests = join(ROOT, 'test');
  assert.deepEqual(
    named.filter((name) => !existsSync(join(tests, name)) && !existsSync(join(tests, `${name}.test.ts`))),
    [],
  );
});
