/** The Markdown pages: their links lead to existing targets, and the program accepts the commands on them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
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

const PROGRAM = String.raw`^node build/src/main\.js|^kvm-exit-exporter|^docker run .* kvm-exit-exporter:\d\S*`;

/** The program's arguments on a line of code; undefined if the line does not start the program, or is abridged. */
function argumentsOf(line: string): string[] | undefined {
  const [, given] = new RegExp(`(?:${PROGRAM})(?: +([^#|>&]*))?(?:$|[#|>&])`).exec(line) ?? [];
  if (given === undefined || /\.\.\.|…/.test(given)) return undefined;
  return [...given.matchAll(/(?:'([^']*)'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ''));
}

test('the program accepts the command lines on pages', () => {
  const commands = PAGES.flatMap((page) =>
    codeLinesOf(page).map((line) => ({ path: page.path, line, args: argumentsOf(line) ?? [] })),
  ).filter(({ args }) => args.length > 0);
  assert.ok(commands.length > 15, JSON.stringify(commands));
  for (const { path, line, args } of commands)
    assert.doesNotThrow(() => parseCommandLine(args, {}), `${path}: ${line}`);
});
