/**
 * Every parser of text from outside takes time in proportion to the length of the text. Each is fed words of its own
 * grammar, repeated and combined in the ways that make regular expressions and nested scans start over and over again.
 * An input that takes noticeable time is measured at two lengths: four times the text must not take eight times as
 * long; a quadratic scan takes sixteen times as long.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { variableOf } from '../../src/config/environment.js';
import { OPTIONS } from '../../src/config/options.js';
import { otlpSettings } from '../../src/config/otlp-settings.js';
import { parseCommandLine } from '../../src/config/parse-command-line.js';
import { fieldLabels } from '../../src/decode/format/print-fmt.js';
import { parseStats } from '../../src/decode/ftrace/buffer-stats.js';
import { canonicalReason, isaOfLabel } from '../../src/decode/reasons/hardware.js';
import { JsonLines } from '../../src/decode/text/json-lines.js';
import { ftraceHeads, qemuHeads, simpletraceHeads, splitEvents } from '../../src/decode/text/several-events.js';
import { safeValue } from '../../src/snapshot/safe-labels.js';
import { readSavedThreads } from '../../src/source/recording/pages/saved-threads.js';
import { parseNow } from '../../src/source/tracefs/trace-clock.js';
import { AgentError } from '../../src/system/errors.js';
import { namePattern } from '../../src/system/name-pattern.js';
import { openFileLimit } from '../../src/system/open-file-limit.js';
import { innermostTid, parseStat, readArgs, tgidOf } from '../../src/vm/host/proc.js';
import { escapeHtml } from '../../src/web/html-page.js';
import { acceptsGzip, negotiateFormat } from '../../src/web/metrics/content-negotiation.js';
import { TARGETS } from '../fuzz/targets.js';
import { cpuMs } from '../support/cpu-ms.js';
import { ROOT } from '../support/paths.js';

/** Length of a text, in characters. */
const LENGTH = 1 << 16;
/** A quadratic scan of a text takes longer. A text that takes less is not measured again. */
const NOTICEABLE_MS = 40;
const MAX_GROWTH = 8;
/** Measurements of one text, of which the fastest counts: other programs use the same CPUs. */
const ATTEMPTS = 6;

interface Parser {
  readonly parse: (text: string) => unknown;
  /** Words of the grammar. */
  readonly words: readonly string[];
  /** Text around the repeated words. */
  readonly around?: readonly (readonly [before: string, after: string])[];
  /** Default: {@link LENGTH}. */
  readonly length?: number;
}

const FOLDER = mkdtempSync(join(tmpdir(), 'linear-time-'));
after(() => rmSync(FOLDER, { recursive: true }));

function fuzzed(name: string): (text: string) => void {
  const target = TARGETS.get(name);
  assert.ok(target !== undefined, name);
  return (text) => target.check(Buffer.from(text, 'latin1'), []);
}

const SIMPLE_HEADER = Buffer.from('ffffffffffffffffb429a40acb77b1f20400000000000000', 'hex').toString('latin1');
const HEAD = 'CPU 0/KVM-1 [000] d..1. 1.000001: ';
const FORMAT = 'name: kvm_x\nID: 7\nformat:\n';
const POD = '0::/kubepods.slice/kubepods-pod';

/** Calls `read` with the folder of a /proc in which every file of process 1 has this content. */
function procfs(read: (root: string) => unknown): (text: string) => unknown {
  return (text) => {
    for (const file of ['status', 'stat', 'cmdline', 'task/1/status']) writeFileSync(join(FOLDER, '1', file), text);
    return read(FOLDER);
  };
}

mkdirSync(join(FOLDER, '1/task/1'), { recursive: true });

const PARSERS: Readonly<Record<string, Parser>> = {
  'ftrace-text': {
    parse: fuzzed('ftrace-text'),
    words: ['a', '1', ' ', '[', '[0] ', ') ', '-1', ': ', 'kvm:', 'ms (+', '1us!', 'kvm_exit: ', 'reason ', '\n'],
    around: [
      ['', ''],
      [HEAD, ''],
      [`${HEAD}kvm_exit: `, ''],
      [`${HEAD}kvm_mmio: mmio read `, 'gpa 0x1 val 0x1'],
      [`${HEAD}tracing_mark_write: `, ''],
    ],
  },
  'several-events': {
    parse: (text) => {
      const bytes = Buffer.from(text, 'latin1');
      for (const heads of [ftraceHeads, qemuHeads, simpletraceHeads])
        splitEvents(bytes, 0, bytes.length, heads, () => {});
    },
    words: [
      'a',
      '1',
      ' ',
      ',',
      '"',
      '\\',
      '\\n',
      '<br',
      '>',
      '1.000001: ',
      '[0] ',
      '-1 ',
      'kvm_x: ',
      '1@1.1:',
      'a 1.000 ',
    ],
    around: [
      ['', ''],
      [HEAD, ` ${HEAD}kvm_x: `],
    ],
  },
  'json-text': {
    parse: (text) => {
      const lines = new JsonLines(
        () => {},
        () => {},
      );
      lines.push(Buffer.from(text, 'latin1'));
      lines.end();
    },
    words: ['[', '{"a":', '"', '\\"', '"[', ',', 'a', '1', ']', '\n'],
    around: [
      ['', ''],
      ['["', '"]'],
    ],
  },
  'qemu-log': {
    parse: fuzzed('qemu-log'),
    words: [
      'a',
      '1',
      ' ',
      '_',
      '@',
      '1@1.1:',
      'a_b ',
      'kvm_run_exit ',
      'vdev 0x',
      ' addr 0x1',
      " name '",
      ': starting up',
      '\n',
    ],
    around: [
      ['', ''],
      ['1@1.000001:', ''],
      ['1@1.000001:memory_region_ops_read ', "'"],
    ],
  },
  'qemu-simple': {
    parse: fuzzed('qemu-simple'),
    words: ['\0', '\x01', '\xff', 'a', '\x01\0\0\0\0\0\0\0', '\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x7f\0\0\0'],
    around: [[SIMPLE_HEADER, '']],
  },
  pages: { parse: fuzzed('pages'), words: ['\0', '\x01', '\x08', '\xff', '\x3d', '\xfe\xff\xff\xff'] },
  'event-format': {
    parse: fuzzed('event-format'),
    words: ['a', ' ', '\t', ';', '(', '1', 'field:', 'offset:', 'size:1;', '\n', ','],
    around: [
      ['', ''],
      [FORMAT, ''],
      [`${FORMAT}\tfield:`, ''],
      [`${FORMAT}\tfield:int a;`, 'x'],
      ['name:', ' x'],
      [`${FORMAT}ID:`, ' x'],
    ],
  },
  'print-fmt': {
    parse: (text) => fieldLabels(text, 'reason'),
    words: ['a', ' ', '{', '}', ',', '"', '(', ')', '->', '->reason', '__print_symbolic(', '__print_flags(', '1 + '],
    around: [
      ['', ''],
      ['__print_symbolic(REC->reason, ', ')'],
      ['__print_symbolic(REC->reason, { ', ', "a" })'],
    ],
  },
  'trace-events': {
    parse: fuzzed('trace-events'),
    words: ['a', ' ', '\t', '(', ')', '"', 'disable ', 'tcg ', '\n', '#'],
    around: [
      ['', ''],
      ['disable ', '(int a) "x"'],
    ],
  },
  mtree: {
    parse: fuzzed('mtree'),
    words: ['a', ' ', '\n', '\r', ' KVM', ' owner:{', ' @0000000000000001', 'FlatView #0\n', '"', ' AS "'],
    around: [
      ['', ''],
      ['FlatView #0\n AS "memory", root: system\n  0000000000001000-0000000000001fff (prio 0, i/o): x', '\n'],
      [' Root memory region: ', ''],
    ],
  },
  process: {
    parse: fuzzed('process'),
    words: ['a', '1', ',', '=', ',,', '-', '_', '/', '.', '\0', 'guest=', 'kubepods', '-pod', '\\x2d', '.scope', '\n'],
    around: [
      ['', ''],
      ['qemu-kvm\0-name\0', ''],
      ['qemu-kvm\0-name\0sandbox-', ''],
      ['cloud-hypervisor\0--platform\0', ''],
      ['firecracker\0--api-sock\0', '.sock'],
      [POD, '.slice'],
      ['0::/machine.slice/machine-qemu', '.scope'],
      ['0::/x/', '.libvirt-qemu'],
    ],
  },
  '/proc': {
    parse: procfs((root) => [innermostTid(root, 1, 1), tgidOf(root, 1), readArgs(root, 1)]),
    words: ['1', ' ', '\t', '\0', ')', '(', 'a', '\n', 'NSpid:', 'Tgid:'],
    around: [
      ['', ''],
      ['NSpid:\t', 'x'],
      ['Tgid:\t', 'x'],
    ],
  },
  '/proc/PID/stat': {
    parse: parseStat,
    words: ['1', ' ', ')', '(', 'a', '\n'],
    around: [
      ['', ''],
      ['1 (', ') S 1'],
    ],
  },
  '/proc/PID/limits': { parse: openFileLimit, words: ['1', ' ', 'a', '\n', 'Max open files'] },
  'per_cpu/cpuN/stats': {
    parse: (text) => [parseStats(text), parseNow(text)],
    words: ['1', ' ', '.', '\n', 'overrun: ', 'now ts: ', 'entries: '],
  },
  saved_cmdlines: {
    parse: (text) => {
      writeFileSync(join(FOLDER, 'saved_cmdlines'), text);
      return readSavedThreads(FOLDER);
    },
    words: ['1', ' ', 'a', '\n', '1 a\n'],
  },
  'names of reasons': {
    parse: (text) => isaOfLabel(canonicalReason(text)),
    words: ['a', '1', ' ', '(', ')'],
    around: [
      ['', ''],
      ['UNKNOWN (', ')'],
    ],
  },
  pods: {
    parse: fuzzed('pods'),
    words: ['a', '[', '{', '"', ',', ':', '{"a":1},'],
    around: [
      ['', ''],
      ['{"items":[', '1]}'],
    ],
  },
  'config-file': { parse: fuzzed('config-file'), length: LENGTH / 8, words: ['a', ' ', '- ', '\n', 'a:\n', '[a]\n'] },
  'web-config': { parse: fuzzed('web-config'), length: LENGTH / 8, words: ['a', ' ', '- ', '\n', 'a:\n', '[a]\n'] },
  options: {
    parse: (text) => {
      allowed(() => parseCommandLine(['run'], Object.fromEntries(OPTIONS.map(({ flag }) => [variableOf(flag), text]))));
      allowed(() => parseCommandLine(['run', `--${text}`], {}));
    },
    words: ['a', ',', '/', '1'],
  },
  'OTEL_*': {
    parse: (text) => {
      const names = ['METRICS_EXPORTER', 'EXPORTER_OTLP_HEADERS', 'EXPORTER_OTLP_ENDPOINT', 'METRIC_EXPORT_INTERVAL'];
      const variables = Object.fromEntries(names.map((name) => [`OTEL_${name}`, text]));
      allowed(() => otlpSettings(parseCommandLine(['run'], {}).get, variables));
    },
    words: ['a', '1', '=', ',', ' ', '/', 'http://a', '!'],
  },
  'HTTP headers': {
    parse: (text) => [negotiateFormat(text), acceptsGzip(text)],
    words: ['a', ' ', ',', ';', '=', '"', 'q=0.1', '*/*', ';version=1'],
  },
  'patterns of paths': {
    parse: (text) => [namePattern('*a*b*c*d*e*')(text), namePattern('[!a-c]*?x')(text)],
    words: ['a', 'b', 'abcd', 'e', 'x', '.'],
  },
  'label values': {
    parse: (text) => [safeValue(text, 128), escapeHtml(text)],
    words: ['a', '~', '\x1b', '\ud800', '~00000000', '\u202e', '&', '"'],
  },
};

/** Calls a parser that reports mistakes of the user by an error. */
function allowed(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
}

/** Texts of about this length: each word repeated, pairs in turn, and one word repeated before another. */
function* shapesOf({ words, around = [['', '']] }: Parser): IterableIterator<(length: number) => string> {
  const fill = (word: string, length: number) => word.repeat(Math.ceil(length / word.length));
  for (const [before, behind] of around)
    for (const a of words) {
      yield (length) => before + fill(a, length) + behind;
      for (const b of words) {
        if (a === b) continue;
        yield (length) => before + fill(a + b, length) + behind;
        yield (length) => before + fill(a, length / 2) + fill(b, length / 2) + behind;
      }
    }
}

const timeOf = (parse: Parser['parse'], text: string) => cpuMs(() => void parse(text));

/**
 * How many times as long a text takes as one of a quarter of its length; the smaller figure of two lengths, because a
 * garbage collection can fall into one.
 */
function growthOf({ parse, length = LENGTH }: Parser, shape: (length: number) => string): number {
  const texts = [shape(length / 16), shape(length / 4), shape(length)];
  let times = texts.map(() => Number.POSITIVE_INFINITY);
  let growth = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    times = times.map((ms, i) => Math.min(ms, timeOf(parse, texts[i] as string)));
    const [first, second, third] = times as [number, number, number];
    growth = Math.min(second / first, third / second);
    if (growth < MAX_GROWTH) break;
  }
  return growth;
}

function assertLinear(name: string, parser: Parser): void {
  for (const shape of shapesOf(parser)) {
    if (timeOf(parser.parse, shape(parser.length ?? LENGTH)) < NOTICEABLE_MS) continue;
    const growth = growthOf(parser, shape);
    const text = JSON.stringify(shape(60));
    assert.ok(growth < MAX_GROWTH, `${name}: four times the text took ${growth} times as long: ${text}`);
  }
}

for (const [name, parser] of Object.entries(PARSERS))
  test(`the time for text of any form grows no faster than the text: ${name}`, () => assertLinear(name, parser));

/** A regular expression in a line of source. */
const LITERAL = /(?<=[(=,:?!&|[]\s*|^\s*|=> )\/((?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+)\/([dgimsuy]*)(?=[.,;)\]\s])/g;
/** Words that match the parts of a regular expression: its own letters, and one of each class. */
const LETTERS = /[\w<>{}=:;,'"/@#-]+/g;

/** Each regular expression of src with the place where it stands. */
function regularExpressions(): Map<string, RegExp> {
  const found = new Map<string, RegExp>();
  const src = join(ROOT, 'src');
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')))
    for (const [index, line] of readFileSync(join(src, file), 'utf8').split('\n').entries()) {
      if (/^\s*(?:\/?\*|\/\/|import )/.test(line)) continue;
      for (const [, source = '', flags = ''] of line.matchAll(LITERAL))
        found.set(`src/${file}:${index + 1}: /${source}/`, new RegExp(source, flags));
    }
  return found;
}

test('the time of every regular expression grows no faster than the text', () => {
  const all = regularExpressions();
  assert.ok(all.size > 100, `only ${all.size} were found`);
  for (const [place, regex] of all) {
    const own = (regex.source.replaceAll(/\\./g, ' ').match(LETTERS) ?? []).slice(0, 5);
    const words = [...new Set([...own, 'a', '0', ' ', '.', '/', '\t', '\n', '\\'])];
    const around = [
      ['', ''],
      ['', '!'],
      [own[0] ?? 'x', '!'],
    ] as const;
    const parse = (text: string) => {
      regex.lastIndex = 0;
      return regex.global ? text.replaceAll(regex, '') : regex.test(text);
    };
    assertLinear(place, { parse, words, around });
  }
});
