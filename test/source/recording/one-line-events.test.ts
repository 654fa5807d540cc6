/**
 * Traces whose line ends were lost on the way: items of a list, text inside a JSON string, elements of a web page, a
 * paragraph of a post. Each is made of a trace of test/fixtures/public or text-forms, and has the right answer of that
 * trace.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fixture, readFixture, readJson } from '../../support/fixtures.js';
import { type Counts, tallyOf } from '../../support/trace/recording-tally.js';

const escaped = (lines: readonly string[]) => JSON.stringify(lines.join('\n')).slice(1, -1);
const asHtml = (line: string) => line.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const quotedByPython = (line: string) => `'${line}\\n'`;

/** Ways in which lines end up on one line. */
const WAYS: Readonly<Record<string, (lines: readonly string[]) => string>> = {
  'a JSON array': (lines) => JSON.stringify(lines),
  'a JSON array with a line end at its end': (lines) => `${JSON.stringify(lines)}\n`,
  'a JSON array with blanks': (lines) => `[ ${lines.map((line) => JSON.stringify(line)).join(' , ')} ]\n`,
  'a member of a JSON object': (lines) => `${JSON.stringify({ host: 'a', lines })}\n`,
  'entries of Loki': (lines) =>
    JSON.stringify({ data: { result: [{ values: lines.map((line, index) => [`17145576${index}`, line]) }] } }),
  'hits of a search, each with its original': (lines) =>
    JSON.stringify({
      hits: { hits: lines.map((message) => ({ _source: { message, event: { original: message } } })) },
    }),
  'an array of JSON objects': (lines) => JSON.stringify(lines.map((message) => ({ level: 'info', message }))),
  'one JSON string': (lines) => `"${escaped(lines)}"`,
  'a JSON string of an unknown member': (lines) => `{"stdout": "${escaped(lines)}", "rc": 0}\n`,
  'JSON inside JSON': (lines) => JSON.stringify({ payload: JSON.stringify({ out: lines.join('\n') }) }),
  'a JSON string behind prose': (lines) => `The log:\n  "body": "${escaped(lines)}",\nThanks.\n`,
  'a list of Python': (lines) => `[${lines.map(quotedByPython).join(', ')}]\n`,
  'bytes of Python': (lines) => `b'${lines.join('\\r\\n')}'\n`,
  'a list of Python behind prose': (lines) => `>>> out.readlines()\n[${lines.map(quotedByPython).join(', ')}]\n`,
  'strings of C': (lines) => `const char *trace = ${lines.map((line) => JSON.stringify(`${line}\n`)).join(' ')};\n`,
  '<br />': (lines) => `${lines.map(asHtml).join('<br />')}\n`,
  '<BR> in a page': (lines) => `<html><body>${lines.map(asHtml).join('<BR>')}</body></html>`,
  '<p>': (lines) => lines.map((line) => `<p class="x">${asHtml(line)}</p>`).join(''),
  '<li>': (lines) => `<ul>${lines.map((line) => `<li>${asHtml(line)}`).join('')}</ul>\n`,
  '<br> behind prose': (lines) => `A trace, see below:\n\n${lines.join('<br>')}\n\nAny idea?\n`,
  '<td>': (lines) => `<table>${lines.map((line) => `<tr><td>${asHtml(line)}</td></tr>`).join('')}</table>`,
};

/** Only headers and names show where lines ended. */
const WITHOUT_MARKS: Readonly<Record<string, (lines: readonly string[]) => string>> = {
  'a paragraph': (lines) => `${lines.join(' ').replaceAll(/ +/g, ' ')}\n`,
  'lines joined by blanks': (lines) => `${lines.join(' ')}\n`,
  tabs: (lines) => `${lines.join('\t')}\n`,
};

interface Answer {
  readonly kvm: Counts;
  readonly qemu: Counts;
  readonly qemuEvents?: Counts;
}

interface Source {
  readonly file: string;
  readonly answer: Answer;
  readonly threads?: readonly string[];
  /** True if a line that is no event stands between events, or events have no headers: marks are needed. */
  readonly needsMarks?: true;
}

const answerOf = (file: string) => readJson<Answer>(file.replace('.txt', '.expected.json'));
const SIMPLETRACE = `kvm_run_exit 0.118 pid=4242 cpu_index=0x0 reason=0x2
memory_region_ops_write 0.371 pid=4242 cpu_index=0x0 mr=0x5555 addr=0x80 value=0x1 size=0x1 name=b'ide'
kvm_run_exit 12.345 pid=4242 cpu_index=0x1 reason=0x6
`;

const SOURCES: readonly Source[] = [
  {
    file: 'public/70-two-vms-no-tgid.txt',
    answer: answerOf('public/70-two-vms-no-tgid.txt'),
    threads: ['CPU 0/KVM-1290040', 'CPU 0/KVM-1634470'],
  },
  {
    file: 'public/08-arm64-kvmtool.txt',
    answer: answerOf('public/08-arm64-kvmtool.txt'),
    threads: ['kvm-vcpu-0-88776'],
  },
  { file: 'public/99-min-stale.txt', answer: answerOf('public/99-min-stale.txt'), threads: ['CPU 0/KVM-142'] },
  { file: 'public/24-s390.txt', answer: answerOf('public/24-s390.txt') },
  { file: 'public/31-bug220549-perf-612.txt', answer: answerOf('public/31-bug220549-perf-612.txt') },
  { file: 'public/07-time-only.txt', answer: answerOf('public/07-time-only.txt') },
  { file: 'public/80b-bare.txt', answer: answerOf('public/80b-bare.txt') },
  { file: 'public/11-qemu42-log-qxl.txt', answer: answerOf('public/11-qemu42-log-qxl.txt') },
  {
    // 300 KB, more than a line may have.
    file: 'text-forms/perf-ns.txt',
    answer: readJson<Record<string, Answer>>('text-forms/expected.json')['perf-ns'] as Answer,
  },
];

/** Text does not tell interrupted calls of KVM_RUN from other failed ones. */
function withFailedCalls({ kvm, qemu: { restart = 0, error = 0, ...qemu }, ...answer }: Answer): Answer {
  return { ...answer, kvm, qemu: restart + error > 0 ? { ...qemu, restart: restart + error } : qemu };
}

function check(content: string, { answer, threads }: Omit<Source, 'file'>): void {
  const tally = tallyOf(Buffer.from(content, 'latin1'));
  const want = withFailedCalls(answer);
  assert.deepEqual([tally.kvm, tally.qemu], [want.kvm, want.qemu]);
  for (const [name, count] of Object.entries(want.qemuEvents ?? {})) assert.equal(tally.qemuEvents[name], count, name);
  if (threads !== undefined) assert.deepEqual([...tally.threads].sort(), threads);
  assert.equal(tally.malformedLines, 0);
}

for (const { file, ...source } of SOURCES) {
  const lines = readFixture(file).toString('latin1').trimEnd().split('\n');
  for (const [way, join] of Object.entries(WAYS))
    test(`${file} on one line: ${way}`, () => {
      check(join(lines), source);
    });
  if (source.needsMarks !== true)
    for (const [way, join] of Object.entries(WITHOUT_MARKS))
      test(`${file} on one line: ${way}`, () => {
        check(join(lines), source);
      });
}

test('the text of simpletrace.py on one line', () => {
  const lines = SIMPLETRACE.trimEnd().split('\n');
  const answer = {
    kvm: {},
    qemu: { KVM_EXIT_IO: 1, KVM_EXIT_MMIO: 1 },
    qemuEvents: { kvm_run_exit: 2, memory_region_ops_write: 1 },
  };
  for (const join of Object.values({ ...WAYS, ...WITHOUT_MARKS })) check(join(lines), { answer });
});

/** The forms whose columns do not show where a line begins, if nothing but blanks stands between lines. */
const NEED_MARKS = ['perf-events', 'perf-misc', 'perf-mixed', 'perf-tid'];
const FORMS = ['text-forms', 'text-variants'].flatMap((folder) =>
  readdirSync(fixture(folder))
    .filter((file) => /\.txt(?:\.gz)?$/.test(file) && !/^meta|^vm-|option-(?:hex|bin)|opt-raw/.test(file))
    .map((file) => `${folder}/${file.replace('.gz', '')}`),
);

/** The counts of each form, a line per event, are held against its raw records elsewhere. */
test('every form of text has the same counts on one line as on many', () => {
  assert.ok(FORMS.length > 60);
  for (const form of FORMS) {
    const lines = readFixture(form)
      .toString('latin1')
      .split('\n')
      .filter((line) => !line.startsWith('#'))
      .slice(0, 250);
    const want = tallyOf(Buffer.from(`${lines.join('\n')}\n`, 'latin1'));
    const joins = NEED_MARKS.some((name) => form.includes(name)) ? WAYS : { ...WAYS, ...WITHOUT_MARKS };
    for (const way of ['a JSON array', 'a list of Python behind prose', '<br> behind prose', 'a paragraph']) {
      const join = joins[way];
      if (join === undefined) continue;
      const got = tallyOf(Buffer.from(join(lines), 'latin1'));
      assert.deepEqual([got.kvm, got.qemu], [want.kvm, want.qemu], `${form}: ${way}`);
    }
  }
});

test('events of QEMU without a prefix, joined by blanks: what is left out is malformed', () => {
  const line =
    'kvm_run_exit cpu_index 0, reason 2 memory_region_ops_read cpu 0 mr 0x5 addr 0x3cc value 0x67 size 1 kvm_run_exit cpu_index 0, reason 6 kvm_run_exit cpu_index 1, reason 2\n';
  const { qemu, malformedLines } = tallyOf(Buffer.from(line));
  assert.deepEqual(qemu, { KVM_EXIT_IO: 2, KVM_EXIT_MMIO: 1 });
  assert.equal(malformedLines, 1);
});
