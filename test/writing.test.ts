/**
 * Checks the part of "How we write" in CONTRIBUTING.md that a program can check: the width of lines, the first words
 * of doc comments, and words that hide who does what. A text that passes is not yet a good text.
 *
 *   WRITING=src/web,README.md node --test build/test/writing.test.js     checks only these files and folders
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/paths.js';

const EVERYTHING = 'src,grafana,docs,deploy,packaging,test,README.md,CONTRIBUTING.md,CHANGELOG.md,Dockerfile,.ci/run';
const CHECKED = (process.env.WRITING ?? EVERYTHING).split(',');

/** Files with prose: whole documents, or comments and messages. */
const PROSE = /(?:\.(?:ts|md|ya?ml|html|service|conf|env|sh|schema\.json)|\/Dockerfile)$/;
/** Recorded input and measurements. */
const DATA = /^(?:test\/fixtures|deploy\/demo\/recording|docs\/bench)\//;

/** Line length of source files, comments included. Documents are shown with lines of any length. */
const MAX_WIDTH = 120;
const DOCUMENT = /\.(?:md|html)$/;

/** Words that, at the start of a doc comment, leave the reader to look for the subject. */
const MISSING_SUBJECT = new RegExp(
  '^(?:Of|By|Whose|Where|Until|Whether or|What is|In which|' +
    'a|an|and|as|at|but|by|for|from|if|in|of|on|or|than|that|the|to|until|what|when|where|which|who|whose|with)\\s',
);

/** Words that hide who does what. The character classes keep a search for these words from finding this file. */
const BANNED = new RegExp(
  String.raw`\b(?:${[
    '(?:any|no|some)b[o]dy',
    'who(?:ever|m|msoever)',
    'other[s]',
    'ane[w]',
    'les[t]',
    'for want o[f]',
    '(?:is|are|was|were|be|been) tol[d]',
    '(?:told|tells?) o[f]',
    'where it may no[t]',
  ].join('|')})\b`,
  'i',
);

interface Line {
  readonly path: string;
  readonly number: number;
  readonly text: string;
  readonly before: string;
}

function filesIn(path: string): string[] {
  if (statSync(join(ROOT, path)).isFile()) return [path];
  const files = readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).sort();
  return files.map((file) => join(path, file)).filter((file) => PROSE.test(file) && !DATA.test(file));
}

function linesOf(path: string): Line[] {
  const texts = readFileSync(join(ROOT, path), 'utf8').split('\n');
  return texts.map((text, index) => ({ path, number: index + 1, text, before: texts[index - 1] ?? '' }));
}

/**
 * Comments can be wrapped, except for a long URL. Code is formatted, so only strings are left, which stay in one piece.
 */
function canBeWrapped({ path, text }: Line): boolean {
  if (/^\s*(?:\/\*|\/\/|\*|#)/.test(text)) return !/https?:\/\/\S{60}/.test(text);
  const code = text.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`.*`|\/[^/\s].*\//g, '');
  return path.endsWith('.ts') && (code.includes('//') || text.length - code.length < 40);
}

/** First line of a doc comment, without its delimiter. */
function startOfDocComment({ text, before }: Line): string {
  const [, sameLine] = /^\s*\/\*\*\s+(.*)/.exec(text) ?? [];
  const [, nextLine] = /^\s*\/\*\*$/.test(before) ? (/^\s*\*\s+(.*)/.exec(text) ?? []) : [];
  return sameLine ?? nextLine ?? '';
}

const lines = CHECKED.flatMap(filesIn).flatMap(linesOf);

function assertNone(wrong: readonly Line[], advice: string): void {
  const list = wrong.map(({ path, number, text }) => `  ${path}:${number}: ${text.trim()}`);
  assert.equal(wrong.length, 0, `${advice}:\n${list.join('\n')}`);
}

test(`lines of source have at most ${MAX_WIDTH} columns`, () => {
  const isTooWide = (line: Line) => line.text.length > MAX_WIDTH && !DOCUMENT.test(line.path) && canBeWrapped(line);
  assertNone(lines.filter(isTooWide), 'wrap these lines');
});

test('doc comments begin with what they describe', () => {
  assertNone(
    lines.filter((line) => line.path.endsWith('.ts') && MISSING_SUBJECT.test(startOfDocComment(line))),
    'begin with the subject of a sentence, or with a noun that names the thing declared',
  );
});

test('sentences say who does what', () => {
  assertNone(
    lines.filter(({ text }) => BANNED.test(text)),
    'name the caller, process, event or file that is meant',
  );
});
