/** Damaged files and wrong arguments: the program reports one clear line for each problem, without a stack trace. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ReportData } from '../../src/expose/report/report.js';
import { runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { SimpleBuilder } from '../support/trace/simple-builder.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'hostile-'));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
chmodSync(FOLDER, 0o755);

const TEXT = readFixture('exact/e6-internal-error/trace_pipe.txt');
const LOG = readFixture('exact/e6-internal-error/log.txt');

/** Writes a file and returns its path. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(FOLDER, name);
  writeFileSync(path, content);
  return path;
}

/** Pseudo-random bytes, equal in each run. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 12345;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

function fifo(): string {
  const path = join(FOLDER, 'fifo');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  return path;
}

function folder(): string {
  const path = join(FOLDER, 'folder');
  mkdirSync(path);
  return path;
}

/** {@link runAgent} with a time-out. */
function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(PROGRAM, [...PROGRAM_ARGS, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 300_000,
  });
  return { status, stdout, stderr };
}

/** Asserts exit code 2, an empty stdout, and these lines on stderr. */
function assertRefused(args: readonly string[], ...lines: readonly RegExp[]): void {
  const { status, stdout, stderr } = run(...args);
  const written = stderr.split('\n');
  assert.equal(written.pop(), '', `the last line has no newline: ${stderr}`);
  assert.equal(written.length, lines.length, stderr);
  for (const [index, line] of lines.entries()) {
    assert.match(written[index] ?? '', /^kvm-exit-exporter: /);
    assert.match(written[index] ?? '', line);
  }
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
}

const UNUSABLE: [name: string, path: () => string, message: RegExp][] = [
  ['an empty file', () => file('empty', ''), /empty: is empty$/],
  ['a folder without a recording', folder, /folder: /],
  ['a file that is missing', () => join(FOLDER, 'missing'), /missing: no such file$/],
  ['a path through a file', () => join(file('plain', 'x'), 'below'), /below: a part of this path is not a directory$/],
  ['a FIFO', fifo, /fifo: not a regular file/],
  ['/dev/null', () => '/dev/null', /\/dev\/null: not a regular file/],
  ['/dev/zero', () => '/dev/zero', /\/dev\/zero: not a regular file/],
  ['a program', () => process.execPath, /: a program, not a recording$/],
  [
    'a picture',
    () => file('a.png', Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), noise(9000)])),
    /a\.png: a picture; /,
  ],
  ['random bytes', () => file('random', noise(50_000)), /random: unknown format; expected .*ftrace text/],
  ['zeros', () => file('zeros', Buffer.alloc(3_000_000)), /zeros: unknown format/],
  ['prose', () => file('prose', 'It was a dark and stormy night.\n'.repeat(50)), /prose: unknown format/],
  ['one byte', () => file('byte', 'x'), /byte: unknown format/],
  ['only comments', () => file('comments', '# a\n# b\n'), /comments: unknown format/],
  ['only line ends', () => file('lines', '\n'.repeat(1000)), /lines: unknown format/],
  [
    'a trace.dat',
    () => file('trace.dat', Buffer.concat([Buffer.from('\x17\x08Dtracing6\0', 'latin1'), noise(900)])),
    /trace\.dat: a damaged trace\.dat: a page size of \d+/,
  ],
  [
    'a perf.data',
    () => file('perf.data', Buffer.concat([Buffer.from('PERFILE2'), noise(900)])),
    /perf\.data: a perf\.data, damaged in its header$/,
  ],
  [
    'an xz file',
    () => file('a.xz', Buffer.concat([Buffer.from('\xfd7zXZ\0', 'latin1'), noise(900)])),
    /a\.xz: packed with xz.*xz -dk/,
  ],
  [
    'a program in gzip',
    () => file('elf.gz', gzipSync(Buffer.from('\x7fELF....................'))),
    /elf\.gz: a program/,
  ],
  ['nothing in gzip', () => file('nothing.gz', gzipSync('')), /nothing\.gz: holds nothing that can be unpacked$/],
  [
    'the first bytes of a gzip file',
    () => file('head.gz', gzipSync(TEXT).subarray(0, 7)),
    /head\.gz: holds nothing that can be unpacked$/,
  ],
  [
    'a gzip file damaged at its start',
    () => file('start.gz', damaged(gzipSync(TEXT), 2)),
    /start\.gz: holds nothing that can be unpacked$/,
  ],
  [
    'a simple trace that ends in its header',
    () => file('short', new SimpleBuilder(4).build().subarray(0, 20)),
    /short: (?:unknown format|too short)/,
  ],
  [
    'a simple trace of another version',
    () => file('v9', new SimpleBuilder(9).build()),
    /v9: a simple trace of version 9; versions 2 to 4 can be read$/,
  ],
  [
    'a simple trace of a big-endian host',
    () => file('be', new SimpleBuilder(4, { bigEndian: true }).build()),
    /be: a simple trace of a big-endian host/,
  ],
  [
    'a simple trace that numbers its events',
    () => file('v3', new SimpleBuilder(3).event(1, 1, 1, 0, 2).build()),
    /v3: .*--qemu\.trace-events=FILE$/,
  ],
];

function damaged(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = index; i < Math.min(index + 8, copy.length); i++) copy[i] = 0xff;
  return copy;
}

describe('one line and exit code 2 for', () => {
  for (const [name, path, message] of UNUSABLE) it(name, () => assertRefused(['report', path()], message));

  it('each of several unusable files', () => {
    const good = file('good.txt', TEXT);
    const [empty, random] = [file('empty2', ''), file('random2', noise(5000))];
    assertRefused(
      ['report', good, empty, join(FOLDER, 'nowhere'), random],
      /empty2: is empty$/,
      /nowhere: no such file$/,
      /random2: unknown format/,
    );
  });
});

const UNPRIVILEGED = { uid: 65534, gid: 65534 };
const isRoot = process.getuid?.() === 0;
/** A checkout below /root cannot be run by other users. */
const isRunnableByAll = isRoot && spawnSync(PROGRAM, [...PROGRAM_ARGS, '--version'], UNPRIVILEGED).status === 0;

it('one line and exit code 2 for a file without read permission', {
  skip: isRoot && !isRunnableByAll ? 'root may read everything, and other users may not run the program here' : false,
}, () => {
  const path = file('secret', TEXT);
  chmodSync(path, 0o000);
  const { status, stdout, stderr } = spawnSync(PROGRAM, [...PROGRAM_ARGS, 'report', path], {
    encoding: 'utf8',
    ...(isRoot ? UNPRIVILEGED : {}),
  });
  assert.match(stderr, /^kvm-exit-exporter: .*secret: permission denied; [^\n]*\n$/);
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
});

const COMMAND_LINES: [name: string, args: string[], ...messages: RegExp[]][] = [
  ['an unknown command', ['reprot', 'x'], /unknown command reprot; did you mean report\?/],
  ['a command that is unlike every known one', ['xyzzyxyzzy'], /unknown command xyzzyxyzzy \(--help lists them\)$/],
  ['an unknown option', ['report', '--fromat=json', 'x'], /unknown option --fromat; did you mean --format\?/],
  ['an option of another command', ['report', '--web.listen-address=:1', 'x'], /unknown option --web\.listen-address/],
  ['a missing value', ['report', 'x', '--format'], /--format needs a value: table\|json\|csv\|prometheus$/],
  ['an empty value', ['report', '--path.procfs=', 'x'], /--path\.procfs needs a value: DIR$/],
  [
    'a value that is not one of the choices',
    ['report', '--format=yaml', 'x'],
    /--format=yaml: expected table, json, csv or prometheus$/,
  ],
  ['no file', ['report'], /report needs PATH\.\.\.$/],
  [
    'a saved /proc that holds no VM',
    ['report', '--path.procfs=/nowhere', fixture('exact/e6-internal-error/trace_pipe.txt')],
    /--path\.procfs=\/nowhere: holds no VM; expected the saved \/proc/,
  ],
  [
    'a missing trace-events-all',
    ['report', '--qemu.trace-events=/nowhere', fixture('exact/e6-internal-error/trace_pipe.txt')],
    /\/nowhere: no such file$/,
  ],
  [
    'each problem of a command line',
    ['report', '--fromat=json', '--color', '--path.procfs='],
    /--fromat/,
    /--color/,
    /--path\.procfs/,
    /needs PATH/,
  ],
  [
    'a /proc that is not there',
    ['run', '--path.procfs=/nowhere'],
    /--path\.procfs=\/nowhere: no such file; give the directory/,
  ],
  ['an invalid port', ['demo', '--web.listen-address=:99999'], /--web\.listen-address=:99999: expected/],
];

describe('one line for each problem and exit code 2 for', () => {
  for (const [name, args, ...messages] of COMMAND_LINES)
    it(name, () => {
      if (args[0] !== 'demo') return assertRefused(args, ...messages);
      const { status, stderr } = run(...args);
      assert.equal(status, 2);
      assert.match(stderr.trimEnd().split('\n').at(-1) ?? '', messages[0] ?? /x/);
    });
});

const ENDS_IN_THE_MIDDLE =
  'ends in the middle: it is cut or damaged, or still being written; what comes before is counted; copy or record it again for the rest';

/** The report of a file that is damaged but can be read in part. */
function reportOfDamaged(path: string): ReportData {
  const { status, stdout, stderr } = run('report', '--format=json', path);
  assert.equal(status, 0, stderr);
  const report: ReportData = JSON.parse(stdout);
  // Beside the report only a cut is said, and that the text does not name processes.
  const said = report.malformed.truncated === undefined ? '' : `kvm-exit-exporter: ${path}: ${ENDS_IN_THE_MIDDLE}\n`;
  assert.equal(stderr.replace(/^\S+ \S+: does not name processes, .*\n/m, ''), said);
  return report;
}

function exits({ exits }: ReportData): number {
  return exits.reduce((sum, { count }) => sum + count, 0);
}

const LONG_LINE = `${'x'.repeat(1_000_000)}\n`;
const WHOLE_TEXT = exits(reportOfDamaged(file('whole.txt', TEXT)));
const WHOLE_LOG = exits(reportOfDamaged(file('whole.log', LOG)));
const BIG = readFixture('svm/two-vms-6.12/trace_pipe.txt');

/** Offset of the first line in the second half. */
function middle(bytes: Buffer): number {
  return bytes.indexOf(10, bytes.length / 2) + 1;
}

function inTheMiddle(bytes: Buffer, extra: string): Buffer {
  return Buffer.concat([bytes.subarray(0, middle(bytes)), Buffer.from(extra), bytes.subarray(middle(bytes))]);
}

describe('what can be read is counted, and the rest reported as malformed, in', () => {
  it('a gzip file that ends early', () => {
    const packed = gzipSync(BIG);
    const report = reportOfDamaged(file('cut.gz', packed.subarray(0, packed.length >> 1)));
    assert.ok(exits(report) > 1000);
    assert.ok(exits(report) < exits(reportOfDamaged(file('all.gz', packed))));
    assert.ok((report.malformed.truncated ?? 0) >= 1);
  });

  it('a gzip file damaged in the middle', () => {
    const packed = gzipSync(BIG);
    const report = reportOfDamaged(file('damaged.gz', damaged(packed, packed.length >> 1)));
    assert.ok(exits(report) > 1000);
    assert.ok((report.malformed.truncated ?? 0) >= 1);
  });

  it('a gzip file with more bytes after its end', () => {
    assert.equal(
      exits(reportOfDamaged(file('more.gz', Buffer.concat([gzipSync(TEXT), Buffer.alloc(100)])))),
      WHOLE_TEXT,
    );
  });

  it('two gzip files, concatenated', () => {
    const [first, second] = [TEXT.subarray(0, middle(TEXT)), TEXT.subarray(middle(TEXT))];
    assert.equal(
      exits(reportOfDamaged(file('two.gz', Buffer.concat([gzipSync(first), gzipSync(second)])))),
      WHOLE_TEXT,
    );
  });

  it('text with a line of a megabyte', () => {
    const report = reportOfDamaged(file('long.txt', inTheMiddle(TEXT, LONG_LINE)));
    assert.equal(exits(report), WHOLE_TEXT);
    assert.deepEqual(report.malformed, { 'line-too-long': 1 });
  });

  it('a log with a line of a megabyte', () => {
    const report = reportOfDamaged(file('long.log', inTheMiddle(LOG, LONG_LINE)));
    assert.equal(exits(report), WHOLE_LOG);
    assert.deepEqual(report.malformed, { 'line-too-long': 1 });
  });

  it('text that ends inside a line', () => {
    const report = reportOfDamaged(file('cut.txt', TEXT.subarray(0, middle(TEXT) + 30)));
    assert.deepEqual(report.malformed, { truncated: 1 });
    assert.ok(exits(report) > 0);
  });

  it('text with foreign lines in it', () => {
    const report = reportOfDamaged(file('other.txt', inTheMiddle(TEXT, `${noise(3000).toString('latin1')}\n`)));
    assert.equal(exits(report), WHOLE_TEXT);
    assert.ok((report.malformed.line ?? 0) >= 1);
  });

  it('the header of an empty trace', () => {
    const { status, stdout, stderr } = run(
      'report',
      file('heading.txt', '# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0\n'),
    );
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, /^No exits in this recording\.\n/);
  });
});

it('control characters in a name do not reach the terminal', () => {
  const line = '  CPU 0/KVM-1001  [000] d..1.  1.000000: kvm_exit: vcpu 0 reason \x1b[2Jx\ry rip 0x1\n';
  const { stdout } = run('report', file('escape.txt', line));
  assert.match(stdout, /x/);
  assert.doesNotMatch(stdout, /[^\P{Cc}\n]/u);
});

it('a reader that closes the pipe early is not an error', async () => {
  for (const format of ['table', 'json', 'csv', 'prometheus']) {
    const agent = spawn(PROGRAM, [...PROGRAM_ARGS, 'report', '--format', format, file('enough.txt', BIG)]);
    let stderr = '';
    agent.stderr.on('data', (text) => {
      stderr += text;
    });
    agent.stdout.destroy();
    const status = await new Promise((resolve) => agent.on('close', resolve));
    assert.deepEqual({ format, status, stderr }, { format, status: 0, stderr: '' });
  }
});

it('a full disk is reported', { skip: existsSync('/dev/full') ? false : 'needs /dev/full' }, () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(PROGRAM, [...PROGRAM_ARGS, 'report', file('disk.txt', TEXT)], {
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  assert.equal(stderr, 'kvm-exit-exporter: standard output: no space left on the device\n');
  assert.equal(status, 2);
});

it('help and version succeed', () => {
  for (const args of [['--help'], ['help'], ['report', '--help'], ['--version']]) {
    const { status, stdout, stderr } = runAgent(...args);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, /kvm-exit-exporter/);
  }
});
