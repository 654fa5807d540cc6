/** The description of a trace.dat, compared with what `trace-cmd dump` shows of recorded files. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inflateSync } from 'node:zlib';
import { bytesInMemory } from '../../../src/decode/trace-dat/byte-source.js';
import { readTraceDat, type TraceDat } from '../../../src/decode/trace-dat/trace-dat.js';
import { readTracingData } from '../../../src/decode/trace-dat/tracing-data.js';
import { ZstdUnpacker } from '../../../src/decode/zstd/zstd-unpacker.js';
import { readFixture } from '../../support/fixtures.js';
import { formatText, headerPageText, PageBuilder } from '../../support/trace/page-builder.js';
import { tick } from '../../support/trace/tick-pages.js';
import {
  buildVersion6,
  buildVersion7,
  cpuStat,
  type TraceDatParts,
  tsc2nsec,
} from '../../support/trace/trace-dat-builder.js';

const zstd = new ZstdUnpacker();
const UNPACKERS = new Map([
  ['zstd', (packed: Uint8Array, size: number) => zstd.unpack(packed, size)],
  ['zlib', (packed: Uint8Array) => inflateSync(packed)],
]);

const page = (time: number, bigEndian = false): Uint8Array =>
  new PageBuilder(BigInt(time), { bigEndian }).event(0, tick(bigEndian)).build();

const PARTS: TraceDatParts = {
  headerPage: headerPageText(),
  ftrace: [formatText('print', 5, [['char buf[]', 16, 0]])],
  systems: { kvm: [formatText('tick', 7, [['u32 value', 8, 4]])], sched: [formatText('sched_switch', 300, [])] },
  cmdlines: '42 CPU 0/KVM\n7 a b c\n',
  buffers: [{ cpus: [[page(1), page(2)], [], [page(3)]] }],
};

function read(bytes: Uint8Array): TraceDat {
  const file = readTraceDat(bytesInMemory(bytes), UNPACKERS);
  assert.ok(!('problem' in file), JSON.stringify(file));
  return file;
}

function problemOf(bytes: Uint8Array): string {
  const file = readTraceDat(bytesInMemory(bytes), UNPACKERS);
  assert.ok('problem' in file);
  return file.problem;
}

/** The file with `bytes` at the place of `before`, which occurs once. */
function replaced(file: Buffer, before: Buffer, bytes: Buffer): Buffer {
  const at = file.indexOf(before);
  assert.ok(at > 0 && file.indexOf(before, at + 1) < 0);
  return Buffer.concat([file.subarray(0, at), bytes, file.subarray(at + before.length)]);
}

const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** All CPUs claim all pages. */
function overlapping(): Buffer {
  const file = buildVersion6({ ...PARTS, buffers: [{ cpus: [[page(1)], [page(2)], [page(3)]] }] });
  const table = file.indexOf('flyrecord\0') + 10;
  for (let cpu = 0; cpu < 3; cpu++) Buffer.concat([u64(4096), u64(3 * 4096)]).copy(file, table + 16 * cpu);
  return file;
}

/** What `trace-cmd dump` 3.1.6 prints: formats (`--ftrace-events --systems`), buffers (`--flyrecord`, `--options`). */
const RECORDED: readonly [file: string, formats: number, buffers: readonly string[]][] = [
  ['v6-6.12.dat', 18 + 91, ['"" local 0@94208+8192 1@102400+94208']],
  ['v6-tracefile-of-v7-6.1.dat', 18 + 91, ['"" local 0@94208+98304 1@192512+57344']],
  ['v7-zstd-6.1.dat', 18 + 91, ['"" local 0@16384+1906 1@20480+9189']],
  ['v7-none-6.12.dat', 18 + 5, ['"" local 0@32768+69632']],
  ['v7-instance-6.1.dat', 18 + 6, ['"" local 0@8192+4593 1@16384+3750', '"second" local 0@20480+4448 1@28672+159']],
  ['v7-tsc2nsec-6.1.dat', 18 + 5, ['"" tsc2nsec 0@8192+232 1@12288+6259']],
];

function buffersOf({ buffers }: TraceDat): string[] {
  return buffers.map(({ name, clock, cpus }) =>
    [`"${name}"`, clock, ...cpus.map(({ cpu, offset, size }) => `${cpu}@${offset}+${size}`)].join(' '),
  );
}

describe('readTraceDat', () => {
  for (const [name, formats, buffers] of RECORDED)
    it(`reads ${name}`, () => {
      const file = read(readFixture(`trace-dat/${name}`));
      assert.equal(file.formats?.events.length, formats);
      assert.deepEqual(buffersOf(file), buffers);
      assert.match(file.savedCmdlines, /^\d+ CPU 0\/KVM$/m);
      assert.deepEqual(file.warnings, []);
    });

  it('reads how long a tick of the TSC takes, and how many events were lost', () => {
    assert.equal(read(readFixture('trace-dat/v7-tsc2nsec-6.1.dat')).nsPerTick, 827194131 / 2 ** 31);
    const lost = read(readFixture('trace-dat/v7-lost-6.1.dat'));
    assert.deepEqual(
      [...lost.overruns],
      [
        [0, 0],
        [1, 104],
      ],
    );
    assert.ok(Number.isNaN(lost.nsPerTick));
  });

  const FORMS: readonly [name: string, build: (parts: TraceDatParts) => Buffer][] = [
    ['version 6', buildVersion6],
    ['version 7', (parts) => buildVersion7(parts)],
    ['version 7, packed with zlib', (parts) => buildVersion7(parts, 'zlib')],
  ];
  for (const [name, build] of FORMS) {
    it(`reads every part of ${name}`, () => {
      const file = read(
        build({
          ...PARTS,
          buffers: [...PARTS.buffers, { name: 'other', clock: 'mono', cpus: [[], [page(4)], []] }],
          options: [tsc2nsec(3, 1), cpuStat(2, 7), [1, Buffer.from('0x1234')], [99, Buffer.alloc(3)]],
        }),
      );
      assert.deepEqual(
        file.formats?.events.map(({ name }) => name),
        ['print', 'tick', 'sched_switch'],
      );
      assert.equal(file.savedCmdlines, PARTS.cmdlines);
      const shapes = file.buffers.map(({ name, clock, pageSize, cpus }) => [
        name,
        clock,
        pageSize,
        cpus.map(({ cpu }) => cpu),
      ]);
      assert.deepEqual(shapes, [
        ['', 'local', 4096, [0, 2]],
        ['other', 'mono', 4096, [1]],
      ]);
      assert.equal(file.nsPerTick, 1.5);
      assert.deepEqual([...file.overruns], [[2, 7]]);
    });

    it(`reads ${name} of a big-endian machine`, () => {
      const file = read(build({ ...PARTS, bigEndian: true, buffers: [{ cpus: [[page(1, true)]] }] }));
      assert.ok(file.bigEndian && file.formats?.bigEndian);
      assert.equal(file.buffers[0]?.cpus.length, 1);
      assert.equal(file.savedCmdlines, PARTS.cmdlines);
    });

    it(`reads ${name} as far as it goes, wherever it ends`, () => {
      const whole = build({ ...PARTS, buffers: [...PARTS.buffers, { name: 'other', cpus: [[page(4)], [], []] }] });
      let most = 0;
      for (let length = 0; length < whole.length; length += length < 2000 ? 1 : 97) {
        const file = readTraceDat(bytesInMemory(whole.subarray(0, length)), UNPACKERS);
        if ('problem' in file) continue;
        const end = Math.max(0, ...file.buffers.flatMap(({ cpus }) => cpus.map(({ offset, size }) => offset + size)));
        assert.ok(end <= length, `pages up to ${end} of ${length} bytes`);
        assert.ok(file.warnings.length > 0, `no warning at ${length}`);
        most = Math.max(most, file.buffers.length);
      }
      assert.equal(most, 2);
    });
  }

  it('finds the pages of version 7 if the options that name them are missing', () => {
    const packed = read(readFixture('trace-dat/v7-zstd-6.1.dat').subarray(0, 26_900));
    assert.deepEqual(buffersOf(packed), ['"" local 0@16384+1910 1@20480+6420']);
    const plain = read(readFixture('trace-dat/v7-none-6.12.dat').subarray(0, 60_000));
    assert.deepEqual(buffersOf(plain), [`"" local 0@32768+${60_000 - 32_768}`]);
    const steps = buildVersion7({
      ...PARTS,
      buffers: [
        {
          cpus: [
            [page(5), page(9)],
            [page(4), page(6), page(6)],
          ],
        },
      ],
    });
    const cpus = read(steps.subarray(0, -50)).buffers[0]?.cpus;
    assert.deepEqual(
      cpus?.map(({ size }) => size / 4096),
      [2, 3],
    );
  });

  it('reads the rest of version 7 if a section is damaged', () => {
    const file = readFixture('trace-dat/v7-zstd-6.1.dat');
    const damaged = Buffer.from(file).fill(0x55, 4000, 4064);
    const { formats, buffers, warnings } = read(damaged);
    assert.equal(formats, undefined);
    assert.equal(buffers.length, 1);
    assert.deepEqual(warnings, ['damaged in its event formats: a section that cannot be unpacked']);
  });

  const whole = buildVersion7(PARTS);
  const WRONG: readonly [what: string, file: () => Uint8Array, problem: RegExp][] = [
    [
      'another version',
      () => replaced(whole, Buffer.from('tracing7'), Buffer.from('tracing8')),
      /version 8; versions 6 and 7 can be read/,
    ],
    [
      'another compression',
      () => replaced(whole, Buffer.from('none\0'), Buffer.from('lz4!\0')),
      /packed with lz4!; zstd and zlib can be read: trace-cmd convert/,
    ],
    [
      'a latency trace',
      () => buildVersion7({ ...PARTS, buffers: [], options: [[22, Buffer.from(`${'\0'.repeat(8)}\0local\0`)]] }),
      /latency tracer.*trace-cmd report/,
    ],
    [
      'a latency trace of version 6',
      () => replaced(buildVersion6(PARTS), Buffer.from('flyrecord\0'), Buffer.from('latency  \0')),
      /latency tracer/,
    ],
    ['places that overlap', () => overlapping(), /pages overlap/],
    ['a page size of 0', () => buildVersion6({ ...PARTS, pageSize: 1 << 24, buffers: [] }), /page size of 16777216/],
    [
      'a format of 2 GiB',
      () => replaced(buildVersion6(PARTS), u64(formatText('sched_switch', 300, []).length), u64(2 ** 31)),
      /damaged in its event formats: a length of 2147483648/,
    ],
    ['no header', () => Buffer.from('\x17\x08\x44tracing7', 'latin1'), /damaged/],
  ];
  for (const [what, file, problem] of WRONG)
    it(`refuses ${what}`, () => {
      assert.match(problemOf(file()), problem);
    });

  it('does not follow options in a circle', () => {
    const file = Buffer.from(whole);
    const firstOptions = Number(file.readBigUInt64LE(file.indexOf('none\0\0') + 6));
    file.writeBigUInt64LE(BigInt(firstOptions), file.length - 8);
    assert.equal(read(file).buffers.length, 1);
  });
});

describe('readTracingData', () => {
  const build = (version: string) =>
    replaced(buildVersion6(PARTS), Buffer.from('tracing6\0'), Buffer.from(`tracing${version}\0`));

  it('reads what a perf.data holds of tracefs', () => {
    const data = readTracingData(bytesInMemory(build('0.6')));
    assert.ok(!('problem' in data));
    assert.deepEqual(
      data.formats.events.map(({ name }) => name),
      ['print', 'tick', 'sched_switch'],
    );
    assert.equal(data.savedCmdlines, PARTS.cmdlines);
  });

  it('expects no names of threads before version 0.6', () => {
    const data = readTracingData(bytesInMemory(build('0.5')));
    assert.ok(!('problem' in data));
    assert.equal(data.savedCmdlines, '');
  });

  it('says where the data ends early', () => {
    assert.deepEqual(readTracingData(bytesInMemory(build('0.6').subarray(0, 400))), {
      problem: 'damaged in its event formats: it ends early',
    });
  });
});
