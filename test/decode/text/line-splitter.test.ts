import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from '../../../src/decode/text/line-splitter.js';

interface Seen {
  readonly lines: string[];
  readonly partials: string[];
  tooLong: number;
  readonly splitter: LineSplitter;
}

function splitter(maxLength?: number): Seen {
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
  ['a carriage return before the line end is dropped', ['a\r\nb\r\r\n\r\n'], ['a', 'b\r', ''], []],
  ['a carriage return and its line end in different chunks', ['a\r', '\nb\n'], ['a', 'b'], []],
  ['a line over three chunks', ['ab', 'cd', 'ef\ng\n'], ['abcdef', 'g'], []],
  ['a chunk that is only the line end', ['ab', '\n'], ['ab'], []],
  ['empty chunks', ['', 'a', '', '\n', ''], ['a'], []],
  ['a last line without a line end is partial', ['a\nbc'], ['a'], ['bc']],
  ['a partial line over two chunks', ['a\nb', 'c\r'], ['a'], ['bc']],
];

for (const [name, chunks, lines, partials] of CASES) {
  test(name, () => {
    const seen = feed(splitter(), ...chunks);
    assert.deepEqual([seen.lines, seen.partials, seen.tooLong], [lines, partials, 0]);
  });
}

test('a line of the greatest length is delivered, one byte more is too long', () => {
  assert.deepEqual(feed(splitter(4), 'abcd\n').lines, ['abcd']);
  assert.deepEqual(feed(splitter(4), 'abcd\r\n').lines, ['abcd']);
  assert.deepEqual(feed(splitter(4), 'abcd', '\r', '\n').lines, ['abcd']);
  const seen = feed(splitter(4), 'abcde\nf\n');
  assert.deepEqual([seen.lines, seen.tooLong], [['f'], 1]);
});

test('a too long line over many chunks is reported once, and decoding resumes behind its end', () => {
  const seen = feed(splitter(4), 'abc', 'def', 'ghi', 'jkl\nok\nmnopqr', 's\nyes\n');
  assert.deepEqual([seen.lines, seen.tooLong], [['ok', 'yes'], 2]);
});

test('a too long line that never ends is no partial line', () => {
  const seen = feed(splitter(4), 'abcdefgh', 'ijk');
  assert.deepEqual([seen.lines, seen.partials, seen.tooLong], [[], [], 1]);
});

test('a line wholly inside a chunk is handed out without a copy', () => {
  const chunk = Buffer.from('one\ntwo\nthr');
  const sources: boolean[] = [];
  const splitterOfOne = new LineSplitter(
    (bytes) => sources.push(bytes === chunk),
    () => assert.fail(),
  );
  splitterOfOne.push(chunk);
  assert.deepEqual(sources, [true, true]);
});

test('after the end it starts anew', () => {
  const seen = splitter();
  feed(seen, 'a');
  feed(seen, 'b\n');
  assert.deepEqual([seen.lines, seen.partials], [['b'], ['a']]);
});

test('however the input is cut, the lines are the same', () => {
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
