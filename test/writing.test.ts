/**
 * A fence against relapse into hard-to-read prose; the rules are in CONTRIBUTING.md under "How we write". Checks what a program can:
 * the width of lines, the first word of doc comments, and words that hide the subject of a sentence.
 *
 *   WRITING=src/web node --test build/test/writing.test.js     checks one folder
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/paths.js';

/** Longest line of source, comments included. Prose and tables of Markdown wrap where they are shown. */
const MAX_WIDTH = 120;

/** A doc comment that begins so makes the reader look for its subject. */
const FORBIDDEN_START = /^\s*(?:\/\*\*|\*)\s+(?:Of|By|Whose|Where|Until|Whoever|Whether or|What is|In which)\b/;

/** Written so that a search for the words themselves finds only their use. */
const BANNED = new RegExp(
  String.raw`\b(?:${[
    '(?:any|no|some)body',
    'who(?:ever|m|msoever)',
    'other{1}s',
    'a{1}new',
    'l{1}est',
    'for want{1} of',
    '(?:is|are|was|were|be|been) to{1}ld',
    '(?:told|tells?) of',
    'where it may{1} not',
  ].join('|')})\b`,
  'i',
);

const CHECKED = (process.env.WRITING ?? '').split(',').filter((path) => path !== '');
const TEXT = /(?:\.(?:ts|md|ya?ml|html|service|conf|sh)|Dockerfile)$/;
const SKIPPED = /^test\/fixtures\/|^deploy\/demo\/recording\/|^docs\/bench\/|\/node_modules\//;

const files = CHECKED.flatMap((path) =>
  TEXT.test(path)
    ? [path]
    : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((file) => join(path, file)),
).filter((path) => TEXT.test(path) && !SKIPPED.test(path));

/** `path:line: text` of every line that `isWrong` holds for. */
function linesThat(isWrong: (line: string, path: string, before: string) => boolean): string[] {
  return files.flatMap((path) => {
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
    return lines.flatMap((line, i) =>
      isWrong(line, path, lines[i - 1] ?? '') ? [`${path}:${i + 1}: ${line.trim()}`] : [],
    );
  });
}

test('no line of source is wider than an editor', () => {
  assert.deepEqual(
    linesThat(
      (line, path) =>
        path.endsWith('.ts') && line.length > MAX_WIDTH && !/'[^']{60,}'|"[^"]{60,}"|`|https?:/.test(line),
    ),
    [],
  );
});

test('doc comments begin with what they describe', () => {
  assert.deepEqual(
    linesThat(
      (line, path, before) =>
        path.endsWith('.ts') &&
        FORBIDDEN_START.test(line) &&
        (line.includes('/**') || before.trim() === '/**' || before.trim() === '*'),
    ),
    [],
  );
});

test('sentences say who does what', () => {
  assert.deepEqual(
    linesThat((line) => BANNED.test(line)),
    [],
  );
});
