import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TextCleaner } from '../../../src/decode/text/clean-text.js';

function clean(chunks: readonly Uint8Array[]): { text: string; tooLong: number } {
  const parts: Buffer[] = [];
  let tooLong = 0;
  const cleaner = new TextCleaner(
    (chunk) => parts.push(Buffer.from(chunk)),
    () => tooLong++,
  );
  for (const chunk of chunks) cleaner.push(chunk);
  cleaner.end();
  return { text: Buffer.concat(parts).toString('latin1'), tooLong };
}

const LINES =
  '7022@1567775824.012200:kvm_run_exit cpu_index 1, reason 2\n  a.out-20024 [001] .... 1.5: kvm_entry: vcpu 0\n';
const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const docker = (log: string) => `${JSON.stringify({ log, stream: 'stderr', time: '2026-11-25T19:00:01.1Z' })}\n`;

const CASES: [name: string, bytes: Buffer, text?: string][] = [
  ['plain text', Buffer.from(LINES)],
  ['line ends of Windows', Buffer.from('a\r\nb\r\n'), 'a\r\nb\r\n'],
  ['a byte order mark of UTF-8', Buffer.from(`\u{feff}${LINES}`)],
  ['UTF-16, little-endian, with a byte order mark', utf16(`\u{feff}${LINES}`)],
  ['UTF-16, little-endian, without one', utf16(LINES)],
  ['UTF-16, big-endian, with one', utf16(`\u{feff}${LINES}`).swap16()],
  ['UTF-16, big-endian, without one', utf16(LINES).swap16()],
  ['UTF-16 with characters that are no ASCII', utf16('\u{feff}\u{201c}a\u{a0}b\u{201d}\n'), '?a b?\n'],
  ['line ends of one CR', Buffer.from(LINES.replaceAll('\n', '\r'))],
  ['CR, CR, LF', Buffer.from('a\r\r\nb\r\r\n'), 'a\r\r\nb\r\r\n'],
  ['colours', Buffer.from(LINES.replaceAll('kvm_', '\x1b[01;31m\x1b[Kkvm_\x1b[m\x1b[K'))],
  ['a title and a link of a terminal', Buffer.from('\x1b]0;host\x07a\x1b]8;;http://b\x1b\\c\x1b(Bd\n'), 'acd\n'],
  ['an escape sequence without an end', Buffer.from('\x1b[12;\nnext\n'), '\nnext\n'],
  ['no-break spaces', Buffer.from(LINES.replaceAll(' ', '\u{a0}'))],
  ['other characters of UTF-8', Buffer.from('\u{b5}s \u{e9}\n'), Buffer.from('\u{b5}s \u{e9}\n').toString('latin1')],
  [
    'lines of docker',
    Buffer.from(
      LINES.split(/(?<=\n)/)
        .map(docker)
        .join(''),
    ),
  ],
  ['a line that docker has split', Buffer.from(docker('x'.repeat(16384)) + docker('y\n')), `${'x'.repeat(16384)}y\n`],
  ['lines of a container without line ends', Buffer.from('{"log":"a"}\n{"log":"b"}\n'), 'a\nb\n'],
  [
    'lines of journalctl -o json',
    Buffer.from('{"_PID":"7","MESSAGE":"a b"}\n{"MESSAGE":[97,27,91,109,98]}\n'),
    'a b\nab\n',
  ],
  [
    'backslashes that an editor of Markdown writes',
    Buffer.from('\\<...\\>-7 \\[001\\] 1.5: kvm\\_exit: reason EXTERNAL\\_INTERRUPT \\n \\'),
    '<...>-7 [001] 1.5: kvm_exit: reason EXTERNAL_INTERRUPT \\n \\',
  ],
  [
    'tabs in place of blanks',
    Buffer.from('a-7\t[001]\t1.5:\tkvm_exit:\treason\thlt\n'),
    'a-7 [001] 1.5: kvm_exit: reason hlt\n',
  ],
  [
    'JSON over many lines, whose text is in two of its members',
    Buffer.from(`${JSON.stringify([{ message: 'a b', event: { original: 'a b' } }, { message: 'c' }], null, 2)}\n`),
    'a b\nc\n',
  ],
  ['lines between brackets that are no JSON', Buffer.from('[\n a: "b",\n]\nc\n'), '[\n a: "b",\n]\nc\n'],
  ['JSON over many lines that is cut', Buffer.from('{\n "a": "b",'), '{\n "a": "b",'],
  ['a list of strings', Buffer.from('["a b", ["c\\nd"], {"x": 1, "y": "e"}]'), 'a b\nc\nd\ne\n'],
  ['JSON that is no log', Buffer.from('{"a": 1}\n{broken\n[1]\n'), '{"a": 1}\n{broken\n[1]\n'],
  ['few bytes', Buffer.from('a'), 'a'],
  ['no byte', Buffer.from(''), ''],
];

for (const [name, bytes, text = LINES] of CASES) {
  test(`TextCleaner reads ${name}`, () => {
    assert.equal(clean([bytes]).text, text);
    assert.equal(clean(Array.from(bytes, (byte) => Uint8Array.of(byte))).text, text, 'byte by byte');
  });
}

test('TextCleaner passes on more lines between brackets than it keeps', () => {
  const lines = `{\n${' "a": "b",\n'.repeat(200_000)}}\n`;
  assert.equal(clean([Buffer.from(lines)]).text, lines);
});

test('TextCleaner passes plain text on without a copy', () => {
  const chunk = Buffer.from(LINES);
  let seen: Uint8Array | undefined;
  new TextCleaner((text) => {
    seen = text;
  }).push(chunk);
  assert.equal(seen, chunk);
});

test('TextCleaner reports a line of JSON that is too long', () => {
  assert.deepEqual(clean([Buffer.from(`{"log":"${'x'.repeat(2 << 20)}"}\n{"log":"a\\n"}\n`)]), {
    text: 'a\n',
    tooLong: 1,
  });
});

test('TextCleaner gives the same text however its input is cut', () => {
  const piece = fc.constantFrom(
    'a',
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\x1b',
    '[',
    '1;2m',
    ']',
    '\x07',
    '\xc2',
    '\xa0',
    '{"log":"b"}',
    '\xff\xfe',
    '\0',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.array(fc.nat(200), { maxLength: 8 }), (pieces, cuts) => {
      const bytes = Buffer.from(pieces.join(''), 'latin1');
      const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
      const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
      assert.equal(clean(chunks).text, clean([bytes]).text);
    }),
    { numRuns: 3000 },
  );
});
