import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FindBreak, LineSplitter } from '../../../src/decode/text/line-splitter.js';

interface Seen {
  readonly lines: string[];
  readonly partials: string[];
  tooLong: number;
  readonly splitter: LineSplitter;
}

function splitter(maxLength?: number, findBreak?: FindBreak): Seen {
  const text = (bytes: Uint8Array, start: number, end: number) => Buffer.from(bytes).toString('latin1', start, end);
  const seen: Seen = {
    lines: [],
    partials: [],
    tooLong: 0,
    splitter: new LineSplitter(
      (bytes, start, end) => seen.lines.push(text(bytes, start, end)),
      () => seen.tooLong++,
      maxLength,
      (bytes, start, end) => seen.partials.push(text(bytes, start, end)),
      findBreak,
    ),
  };
  return seen;
}

function feed(seen: Seen, ...chunks: readonly string[]): Seen {
  for (const chunk of chunks) seen.splitter.push(Buffer.from(chunk, 'latin1'));
  seen.splitter.end();
  return seen;
}

const CASES: readonly (readonly [name: string, chunks: string[], lines: string[], partials: string[]])[] = [
  ['lines of one chunk', ['a\nbc\n'], ['a', 'bc'], []],
  ['empty lines', ['\n\na\n\n'], ['', '', 'a', ''], []],
  ['a carriage return before the line end', ['a\r\nb\r\r\n\r\n'], ['a', 'b\r', ''], []],
  ['a carriage return and its line end in different chunks', ['a\r', '\nb\n'], ['a', 'b'], []],
  ['a line in three chunks', ['ab', 'cd', 'ef\ng\n'], ['abcdef', 'g'], []],
  ['a chunk that is a line end', ['ab', '\n'], ['ab'], []],
  ['empty chunks', ['', 'a', '', '\n', ''], ['a'], []],
  ['a last line without a line end', ['a\nbc'], ['a'], ['bc']],
  ['a last line without a line end in two chunks', ['a\nb', 'c\r'], ['a'], ['bc']],
];

for (const [name, chunks, lines, partials] of CASES) {
  test(name, () => {
    const seen = feed(splitter(), ...chunks);
    assert.deepEqual([seen.lines, seen.partials, seen.tooLong], [lines, partials, 0]);
  });
}

test('a line of the maximum length is delivered, one byte more is too long', () => {
  assert.deepEqual(feed(splitter(4), 'abcd\n').lines, ['abcd']);
  assert.deepEqual(feed(splitter(4), 'abcd\r\n').lines, ['abcd']);
  assert.deepEqual(feed(splitter(4), 'abcd', '\r', '\n').lines, ['abcd']);
  const seen = feed(splitter(4), 'abcde\nf\n');
  assert.deepEqual([seen.lines, seen.tooLong], [['f'], 1]);
});

test('a too long line in many chunks is reported once, and the line behind it is delivered', () => {
  const seen = feed(splitter(4), 'abc', 'def', 'ghi', 'jkl\nok\nmnopqr', 's\nyes\n');
  assert.deepEqual([seen.lines, seen.tooLong], [['ok', 'yes'], 2]);
});

test('a too long line without a line end is not a partial line', () => {
  const seen = feed(splitter(4), 'abcdefgh', 'ijk');
  assert.deepEqual([seen.lines, seen.partials, seen.tooLong], [[], [], 1]);
});

test('a line inside one chunk is passed on without a copy', () => {
  const chunk = Buffer.from('one\ntwo\nthr');
  const sources: boolean[] = [];
  const inPlace = new LineSplitter(
    (bytes) => sources.push(bytes === chunk),
    () => assert.fail(),
  );
  inPlace.push(chunk);
  assert.deepEqual(sources, [true, true]);
});

test('a splitter can be used again after its end', () => {
  const seen = splitter();
  feed(seen, 'a');
  feed(seen, 'b\n');
  assert.deepEqual([seen.lines, seen.partials], [['b'], ['a']]);
});

test('the lines do not depend on how the input is cut into chunks', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n'), maxLength: 60 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), (input, cuts) => {
      const points = [0, ...cuts.map((cut) => Math.min(cut, input.length)), input.length].sort((a, b) => a - b);
      const chunks = points.slice(1).map((point, i) => input.slice(points[i], point));
      const whole = feed(splitter(8), input);
      const parts = feed(splitter(8), ...chunks);
      assert.deepEqual([parts.lines, parts.partials, parts.tooLong], [whole.lines, whole.partials, whole.tooLong]);
      const expected = input
        .split('\n')
        .slice(0, -1)
        .map((line) => line.replace(/\r$/, ''));
      assert.deepEqual(
        whole.lines,
        expected.filter((line) => line.length <= 8),
      );
    }),
    { numRuns: 2000 },
  );
});

/** Cuts behind the last `;`. */
const behindSemicolon: FindBreak = (bytes, start, end) =>
  Buffer.from(bytes.subarray(start, end)).lastIndexOf(';') + 1 + start;

test('a line that is too long is cut, and what cannot be cut is reported', () => {
  const seen = feed(splitter(6, behindSemicolon), 'a;bc;de;fghi;\nabcdefgh;i\njk;lmn\n');
  assert.deepEqual([seen.lines, seen.tooLong], [['a;bc;', 'de;', 'fghi;', 'jk;lmn'], 1]);
});

test('the pieces of a line that is too long do not depend on how the input is cut into chunks', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ';', '\n', '\r'), maxLength: 60 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), (input, cuts) => {
      const points = [0, ...cuts.map((cut) => Math.min(cut, input.length)), input.length].sort((a, b) => a - b);
      const chunks = points.slice(1).map((point, index) => input.slice(points[index], point));
      const [whole, parts] = [feed(splitter(6, behindSemicolon), input), feed(splitter(6, behindSemicolon), ...chunks)];
      assert.deepEqual([parts.lines, parts.partials, parts.tooLong], [whole.lines, whole.partials, whole.tooLong]);
    }),
    { numRuns: 2000 },
  );
});
