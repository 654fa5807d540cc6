import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEventFormat, parsePageHeader, readEventFormats } from '../../../src/decode/format/event-format.js';
import { formatText, headerPageText } from '../../support/trace/page-builder.js';
import { formatTexts, headerPage } from '../../support/trace/recorded-formats.js';

const PRINT = [
  'name: print\nID: 5\nformat:',
  '\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;',
  '\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;',
  '',
  '\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;',
  '\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;',
  '',
  'print fmt: "%ps: %s", (void *)REC->ip, REC->buf\n',
].join('\n');

describe('parseEventFormat', () => {
  it('reads name, id, fields and print fmt', () => {
    assert.deepEqual(parseEventFormat(PRINT), {
      name: 'print',
      id: 5,
      fields: [
        { name: 'common_type', offset: 0, size: 2, isArray: false },
        { name: 'common_pid', offset: 4, size: 4, isArray: false },
        { name: 'ip', offset: 8, size: 8, isArray: false },
        { name: 'buf', offset: 16, size: 0, isArray: true },
      ],
      printFmt: '"%ps: %s", (void *)REC->ip, REC->buf',
    });
  });

  // Read from the files by eye. The ids differ between kernels, boots and modules.
  for (const [recording, id, fields] of [
    ['exact/e2-mix', 103, 'exit_reason@8+4 isa@24+4 info1@32+8 info2@40+8 vcpu_id@56+4 requests@64+8'],
    ['svm/two-vms-6.12', 1610, 'exit_reason@8+4 isa@24+4 info1@32+8 info2@40+8 vcpu_id@56+4'],
    ['text-variants', 1440, 'exit_reason@8+4 isa@24+4 info1@32+8 info2@40+8 vcpu_id@56+4'],
  ] as const) {
    it(`reads kvm_exit as recorded in ${recording}`, () => {
      const event = parseEventFormat(formatTexts(recording).get('kvm_exit') ?? '');
      assert.ok(!('problem' in event));
      const wanted = /^(exit_reason|isa|info1|info2|vcpu_id|requests)$/;
      const places = event.fields.filter(({ name }) => wanted.test(name));
      assert.equal(places.map(({ name, offset, size }) => `${name}@${offset}+${size}`).join(' '), fields);
      assert.equal(event.id, id);
    });
  }

  it('tells arrays from numbers', () => {
    const event = parseEventFormat(
      formatText('x', 7, [
        ['u8 insn[15]', 8, 15],
        ['__data_loc char[] name', 24, 4],
        ['__rel_loc unsigned long[] args', 28, 4],
        ['struct kvm_vcpu * vcpu', 32, 8],
      ]),
    );
    assert.ok(!('problem' in event));
    const seen = event.fields.slice(4).map(({ name, isArray }) => ({ name, isArray }));
    assert.deepEqual(seen, [
      { name: 'insn', isArray: true },
      { name: 'name', isArray: true },
      { name: 'args', isArray: true },
      { name: 'vcpu', isArray: false },
    ]);
  });

  it('reads the fields of an old kernel, which have no sign', () => {
    const event = parseEventFormat(
      'name: x\nID: 1\nformat:\n\tfield:int a;\toffset:8;\tsize:4;\n\tfield:u32 b;\toffset:12;\tsize:4;\n',
    );
    assert.ok(!('problem' in event));
    assert.deepEqual(
      event.fields.map(({ name }) => name),
      ['a', 'b'],
    );
    assert.equal(event.printFmt, '');
  });

  for (const [what, text, problem] of [
    ['nothing', '', /no "name:" line/],
    ['a name alone', 'name: kvm_exit\n', /kvm_exit: no "ID:" line/],
    ['an id that is not a number', 'name: kvm_exit\nID: x\n', /no "ID:" line with a number/],
    ['an id that common_type cannot hold', 'name: kvm_exit\nID: 65536\n', /up to 65535/],
    ['no fields', 'name: kvm_exit\nID: 1\nformat:\n', /no fields/],
    ['a field cut short', PRINT.slice(0, PRINT.indexOf('size:8')), /cannot read the line "field:unsigned long ip/],
    ['a field beyond any record', formatText('x', 1, [['u32 a', 99_999_999, 4]]), /a ends outside/],
    ['an error page', '<html>name: x</html>', /no "name:" line/],
    ['a text that is too long', 'x'.repeat(2_000_000), /more than 1048576/],
    ['one very long word', `name: x\nID: 1\n\tfield:${'a'.repeat(500_000)};\toffset:0;\tsize:1;\n`, /cannot read/],
  ] as const) {
    it(`reports a problem for ${what}`, () => {
      const event = parseEventFormat(text);
      assert.ok('problem' in event);
      assert.match(event.problem, problem);
    });
  }
});

describe('parsePageHeader', () => {
  it('reads the recorded header', () => {
    assert.deepEqual(parsePageHeader(headerPage('svm/two-vms-6.12')), {
      timestampOffset: 0,
      commitOffset: 8,
      commitSize: 8,
      dataOffset: 16,
      pageSize: 4096,
    });
  });

  it('reads a 32-bit kernel and larger sub-buffers', () => {
    assert.deepEqual(parsePageHeader(headerPageText({ longSize: 4, pageSize: 16384 })), {
      timestampOffset: 0,
      commitOffset: 8,
      commitSize: 4,
      dataOffset: 12,
      pageSize: 16384,
    });
  });

  for (const [what, text, problem] of [
    ['nothing', '', /needs the fields timestamp, commit and data/],
    ['no data', headerPageText().replace('char data', 'char dat'), /needs the fields/],
    [
      'a commit of two bytes',
      headerPageText().replace('size:8;\tsigned:1', 'size:2;\tsigned:1'),
      /2 bytes, not 8 or 4/,
    ],
    ['a short time stamp', headerPageText().replace('size:8', 'size:4'), /timestamp has 4 bytes/],
    ['data that overlaps the header', headerPageText().replace('offset:16', 'offset:8'), /overlaps the header/],
    ['data without a size', headerPageText().replace('size:4080', 'size:0'), /no size/],
    ['a negative number', headerPageText().replace('offset:16', 'offset:-1'), /cannot read the line/],
  ] as const) {
    it(`reports a problem for ${what}`, () => {
      const header = parsePageHeader(text);
      assert.ok('problem' in header);
      assert.match(header.problem, problem);
    });
  }
});

describe('readEventFormats', () => {
  it('keeps the good formats and reports the bad ones', () => {
    const read = readEventFormats(headerPageText(), [PRINT, 'name: broken\n']);
    assert.ok('formats' in read);
    assert.deepEqual(
      read.formats.events.map(({ name }) => name),
      ['print'],
    );
    assert.equal(read.problems.length, 1);
    assert.match(read.problems[0] ?? '', /broken/);
  });

  it('reports a problem without a page header', () => {
    assert.ok('problem' in readEventFormats('', [PRINT]));
  });
});
