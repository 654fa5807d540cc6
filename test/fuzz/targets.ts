/**
 * The targets of the fuzzer: every parser of input from outside, with seeds from the fixtures and a check of what has
 * to hold for any input.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfigFile } from '../../src/config/config-file.js';
import { parseEventFormat, parsePageHeader } from '../../src/decode/format/event-format.js';
import { fieldLabels } from '../../src/decode/format/print-fmt.js';
import { PageCursor } from '../../src/decode/ftrace/page-cursor.js';
import { PageStream } from '../../src/decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../src/decode/ftrace/record-decoder.js';
import { FtraceTextDecoder } from '../../src/decode/ftrace/text-decoder.js';
import { kernelLabels } from '../../src/decode/kvm/exit/x86-labels.js';
import { PerfDecoder } from '../../src/decode/perf-data/perf-decoder.js';
import { recordsOf } from '../../src/decode/perf-data/perf-file.js';
import { parseMtree } from '../../src/decode/qemu/mtree.js';
import { parseTraceEvents } from '../../src/decode/qemu/trace-events.js';
import { bytesInMemory } from '../../src/decode/trace-dat/byte-source.js';
import { readTraceDat } from '../../src/decode/trace-dat/trace-dat.js';
import { readTracingData } from '../../src/decode/trace-dat/tracing-data.js';
import { ZstdDecoder } from '../../src/decode/zstd/zstd-decoder.js';
import { parsePodChange, parsePodList, parseStatus } from '../../src/kubernetes/pod.js';
import { FTRACE_TEXT } from '../../src/source/recording/formats/ftrace-text.js';
import { QEMU_LOG } from '../../src/source/recording/formats/qemu-log.js';
import { QEMU_SIMPLE } from '../../src/source/recording/formats/qemu-simple.js';
import { FormatSearch } from '../../src/source/recording/formats/recognise.js';
import type { RecordingFormat } from '../../src/source/recording/formats/recording-format.js';
import { SIMPLETRACE_TEXT } from '../../src/source/recording/formats/simpletrace-text.js';
import { UNPACKERS } from '../../src/source/recording/pages/trace-dat.js';
import { TraceDatPages } from '../../src/source/recording/pages/trace-dat-pages.js';
import { AgentError } from '../../src/system/errors.js';
import type { AddressRange } from '../../src/trace/device-ranges.js';
import { parseCgroup } from '../../src/vm/identify/cgroup.js';
import { identifyVmm, unknownVmm } from '../../src/vm/identify/cmdline.js';
import { vcpuOfComm, vmPidOfKernelThread } from '../../src/vm/identify/comm.js';
import { parseWebConfig } from '../../src/web/access/parse-web-config.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';
import { CountingSink, total } from '../support/trace/counting-sink.js';
import { formatText, payload } from '../support/trace/page-builder.js';
import { PerfBuilder, SAMPLE, tracingData, USUAL, u64s, ZstdPieces } from '../support/trace/perf-builder.js';
import { formatTexts, headerPage, readFormats } from '../support/trace/recorded-formats.js';
import { perfFileIn } from '../support/trace/replay-perf-data.js';
import { buildVersion6, buildVersion7, cpuStat, tsc2nsec } from '../support/trace/trace-dat-builder.js';
import { newVocabulary } from '../support/trace/vocabulary.js';

export interface Target {
  readonly seeds: () => readonly Uint8Array[];
  /**
   * Throws if something does not hold.
   * @param cuts where to cut the input into chunks, as fractions of its length in ascending order
   */
  readonly check: (bytes: Uint8Array, cuts: readonly number[]) => void;
}

const PAGE_SIZE = 4096;
/** Bytes of a seed. */
const SEED_LENGTH = 3000;
const PAGE_RECORDING = 'virtio/kvm-seabios-ioeventfd';
const FORMATS = readFormats(PAGE_RECORDING);
const PERF_FORMATS = readFormats('perf-data');

export const TARGETS: ReadonlyMap<string, Target> = new Map([
  [
    'ftrace-text',
    {
      seeds: () => [
        ...parts('ftrace-text/c3-instance-copymarker-tgid/trace_pipe.txt'),
        ...parts('ftrace-text/c5-lost/trace_pipe.txt'),
        ...parts('svm/two-vms-6.12/trace_pipe.txt'),
        ...parts('text-variants/trace_pipe.opt-latency-format.txt'),
      ],
      check: checkLiveText,
    },
  ],
  [
    'saved-text',
    {
      seeds: () => [
        ...publicTraces(),
        ...parts('perf/perf-script.txt'),
        ...[
          'trace-cmd-l',
          'trace-cmd-R',
          'trace-cmd-ts-diff',
          'perf-comm-time',
          'perf-event',
          'perf-callgraph',
        ].flatMap((name) => parts(`text-forms/${name}.txt`)),
        ...parts('text-forms/option-fields.txt'),
      ],
      check: (bytes, cuts) => {
        const { sink } = checkRecording(FTRACE_TEXT, bytes, cuts);
        assert.ok(total(sink.tracepoints) + total(sink.lostGaps) <= maxEvents(bytes), 'more events than lines');
        assert.ok(accountedLines(sink) <= 2 * maxEvents(bytes), 'more events and malformed lines than lines');
      },
    },
  ],
  [
    'qemu-log',
    {
      seeds: () => [
        ...publicTraces(),
        ...parts('qemu-log/b2-timestamp/log.txt'),
        ...parts('qemu-log/b6-mixed-lines/log.txt'),
      ],
      check: (bytes, cuts) => {
        const { sink } = checkRecording(QEMU_LOG, bytes, cuts);
        assert.ok(total(sink.qemuEvents) <= maxEvents(bytes), 'more events than lines');
      },
    },
  ],
  [
    'simpletrace-text',
    {
      seeds: () => texts([SIMPLETRACE]),
      check: (bytes, cuts) => {
        const { sink } = checkRecording(SIMPLETRACE_TEXT, bytes, cuts);
        assert.ok(total(sink.qemuEvents) <= maxEvents(bytes), 'more events than lines');
      },
    },
  ],
  ['recognise', { seeds: () => publicTraces(), check: checkFormatSearch }],
  ['qemu-simple', { seeds: () => parts('qemu-simple/a1-seabios-2vcpu/trace-a1'), check: checkSimple }],
  ['perf-data', { seeds: () => perfSeeds(), check: checkPerfData }],
  ['pages', { seeds: () => pageSeeds(), check: checkPages }],
  ['zstd', { seeds: () => zstdSeeds(), check: checkZstd }],
  ['trace-dat', { seeds: () => traceDatSeeds(), check: checkTraceDat }],
  [
    'event-format',
    { seeds: () => texts([...formatTexts(PAGE_RECORDING).values(), headerPage(PAGE_RECORDING)]), check: checkFormat },
  ],
  ['trace-events', { seeds: () => texts([TRACE_EVENTS]), check: (bytes) => void parseTraceEvents(latin1(bytes)) }],
  ['process', { seeds: () => procSeeds(), check: checkProcess }],
  ['mtree', { seeds: () => parts('mtree/qemu-7.2-microvm.txt'), check: checkMtree }],
  ['pods', { seeds: () => texts(PODS), check: checkPods }],
  [
    'config-file',
    { seeds: () => [readFileSync(join(ROOT, 'deploy/systemd/config.yml')), ...texts([CONFIG])], check: checkConfig },
  ],
  ['web-config', { seeds: () => texts([WEB_CONFIG]), check: checkWebConfig }],
] satisfies [string, Target][]);

const TRACE_EVENTS = [
  '# comment\nkvm_run_exit(int cpu_index, uint32_t reason) "cpu_index %d, reason %d"',
  'disable virtio_queue_notify(void *vdev, int n, void *vq) "vdev %p n %d vq %p"\n',
].join('\n');
const SIMPLETRACE = [
  'kvm_run_exit 12.345 pid=4242 cpu_index=0x1 reason=0x2',
  'virtio_queue_notify 0.118 pid=4242 vdev=0x5555dcf8d400 n=0x0 vq=0x7f08cffd9010',
  "kvm_irqchip_add_msi_route 3.070 pid=7 dev=b'virtio-blk-pci' vector=0x1 virq=0x18",
  'Dropped_Event 0.250 pid=4242 num_events_dropped=0x5\n',
].join('\n');
const PODS = [
  '{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"7","continue":"a"},"items":[{"metadata":{"name":"a","namespace":"b","uid":"c","labels":{"vm.kubevirt.io/name":"d"}}}]}',
  '{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"b","uid":"c","resourceVersion":"8","ownerReferences":[{"kind":"VirtualMachineInstance","name":"d"}]}}}',
  '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}',
];
const CONFIG =
  'web.listen-address: [":1", "[::1]:2"]\ncollector: { io: false, io.addresses: 5 }\nlog:\n  level: warn\n';
const WEB_CONFIG = [
  'tls_server_config: { cert_file: a.crt, key_file: a.key, client_auth_type: NoClientCert, min_version: TLS12 }',
  'basic_auth_users: { a: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG }',
  'http_server_config: { http2: true, headers: { X-Frame-Options: deny } }\nrate_limit: { interval: 1s, burst: 20 }\n',
].join('\n');

interface Reading {
  readonly sink: CountingSink;
  readonly refused: boolean;
}

function checkRecording(format: RecordingFormat, bytes: Uint8Array, cuts: readonly number[]): Reading {
  const whole = read(format, [bytes]);
  const cut = read(format, chunksOf(bytes, cuts));
  assert.equal(cut.refused, whole.refused, 'refused in one piece but not in several, or the reverse');
  // A refused file is read no further than the chunk that shows why, and its counts are not used.
  if (!whole.refused)
    assert.deepEqual(countsOf(cut.sink), countsOf(whole.sink), 'counts depend on how the input is cut');
  return whole;
}

/** The text of a running kernel: every line is accounted for. */
function checkLiveText(bytes: Uint8Array, cuts: readonly number[]): void {
  const decode = (chunks: readonly Uint8Array[]): CountingSink => {
    const vocabulary = newVocabulary();
    const sink = new CountingSink(vocabulary);
    const decoder = new FtraceTextDecoder(vocabulary, sink);
    for (const chunk of chunks) decoder.push(chunk);
    decoder.end();
    return sink;
  };
  const whole = decode([bytes]);
  assert.deepEqual(countsOf(decode(chunksOf(bytes, cuts))), countsOf(whole), 'counts depend on how the input is cut');
  assert.equal(accountedLines(whole), contentLines(bytes), 'lines that are neither counted nor malformed');
}

function checkFormatSearch(bytes: Uint8Array, cuts: readonly number[]): void {
  const search = (chunks: readonly Uint8Array[]): string => {
    const formats = new FormatSearch('x');
    try {
      for (const chunk of chunks) {
        const format = formats.push(chunk);
        if (format !== undefined) return format.name;
      }
      return formats.end().name;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      return error.message;
    }
  };
  assert.equal(search(chunksOf(bytes, cuts)), search([bytes]), 'the format depends on how the input is cut');
}

function checkSimple(bytes: Uint8Array, cuts: readonly number[]): void {
  const { sink } = checkRecording(QEMU_SIMPLE, bytes, cuts);
  const found = total(sink.qemuEvents) + total(sink.lostGaps) + total(sink.malformedKinds);
  assert.ok(found <= bytes.length / 12 + 2, 'more records than fit');
}

function checkPerfData(bytes: Uint8Array, cuts: readonly number[]): void {
  const whole = decodePerfData(bytes, [bytes]);
  const cut = decodePerfData(bytes, chunksOf(bytes, cuts));
  assert.equal(cut.refused, whole.refused, 'refused in one piece but not in several, or the reverse');
  assert.deepEqual(countsOf(cut.sink), countsOf(whole.sink), 'counts depend on how the input is cut');
}

function decodePerfData(bytes: Uint8Array, chunks: readonly Uint8Array[]): Reading {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const file = perfFileIn(bytes);
  if (file === undefined) return { sink, refused: true };
  const decoder = new PerfDecoder({ ...file, vocabulary, sink, otherFormats: () => PERF_FORMATS });
  const stream = decoder.openStream();
  const records = recordsOf(file);
  for (const chunk of chunks) stream.push(records(chunk));
  decoder.end();
  return { sink, refused: decoder.isUnusable };
}

function checkPages(bytes: Uint8Array, cuts: readonly number[]): void {
  const whole = decodePages([bytes]);
  assert.deepEqual(
    countsOf(decodePages(chunksOf(bytes, cuts))),
    countsOf(whole),
    'counts depend on how the input is cut',
  );
  assert.ok(total(whole.tracepoints) <= bytes.length / 8, 'more records than fit');
}

/** The cuts are not used: a trace.dat is read at any place, not from its start to its end. */
function checkTraceDat(bytes: Uint8Array): void {
  readTracingData(bytesInMemory(bytes));
  const file = readTraceDat(bytesInMemory(bytes), UNPACKERS);
  if ('problem' in file) return;
  const source = { ...bytesInMemory(bytes), close: () => {} };
  const unpack = UNPACKERS.get(file.compression) ?? (() => undefined);
  const pages = new TraceDatPages('x', source, file, unpack);
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const decoder = new RecordDecoder({ formats: file.formats ?? FORMATS, vocabulary, sink, nsPerTick: file.nsPerTick });
  let content = 0;
  for (const buffer of file.buffers)
    for (const place of buffer.cpus) {
      const { cpu, pageSize, chunks } = pages.ofCpu(buffer, place);
      const cursor = new PageCursor(decoder, cpu);
      const stream = new PageStream(pageSize);
      const load = (page: Uint8Array | undefined) => page !== undefined && cursor.load(page);
      for (const chunk of chunks(undefined) as Iterable<Uint8Array | undefined>) {
        if (chunk === undefined) cursor.missPages();
        else stream.push(chunk);
        content += chunk?.length ?? 0;
        for (let page = stream.next(); page !== undefined; page = stream.next()) cursor.load(page);
      }
      load(stream.end());
      cursor.run(Number.POSITIVE_INFINITY);
      cursor.endPages();
    }
  assert.ok(total(sink.tracepoints) <= content / 8, 'more records than fit');
}

function checkZstd(bytes: Uint8Array, cuts: readonly number[]): void {
  const whole = unpackZstd([bytes]);
  assert.deepEqual(unpackZstd(chunksOf(bytes, cuts)), whole, 'content depends on how the input is cut');
}

/** The content is reduced to a sum: a few bytes can stand for megabytes. */
function unpackZstd(chunks: readonly Uint8Array[]): unknown {
  let [length, sum] = [0, 0];
  const decoder = new ZstdDecoder();
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) {
      length += piece.length;
      for (const byte of piece.subarray(0, 1000)) sum = (Math.imul(sum, 31) + byte) | 0;
    }
  }
  return { length, sum, problem: decoder.problem, isComplete: decoder.isComplete };
}

function checkFormat(bytes: Uint8Array): void {
  const text = latin1(bytes);
  const format = parseEventFormat(text);
  if (!('problem' in format)) {
    kernelLabels(format.printFmt);
    fieldLabels(format.printFmt, 'reason');
  }
  parsePageHeader(text);
}

/** Any user can choose the command line (arguments end in NUL), the comm and the cgroup of a process. */
function checkProcess(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString('utf8');
  const args = text.split('\0');
  for (const comm of ['qemu-system-x86', text.slice(0, 15)]) {
    identifyVmm(args, comm);
    identifyVmm(args, comm, true);
    unknownVmm(comm, args);
    assert.ok(Number.isInteger(vcpuOfComm(comm)) && Number.isInteger(vmPidOfKernelThread(comm)), 'no number');
  }
  parseCgroup(text);
}

function checkMtree(bytes: Uint8Array): void {
  for (const ranges of Object.values(parseMtree(latin1(bytes))) as AddressRange[][]) {
    for (const [index, { first, last }] of ranges.entries())
      assert.ok(first <= last && !(first <= (ranges[index - 1]?.last ?? -1)), 'ranges overlap or are not in order');
  }
}

function checkPods(bytes: Uint8Array): void {
  let answer: unknown;
  try {
    answer = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return;
  }
  parseStatus(answer);
  const change = parsePodChange(answer);
  const pods = [
    ...(parsePodList(answer)?.pods ?? []),
    ...(change !== undefined && 'pod' in change ? [change.pod] : []),
  ];
  for (const { uid, namespace, name } of pods) assert.ok(uid && namespace && name, 'a pod without a name');
}

function checkConfig(bytes: Uint8Array): void {
  const { problems } = parseConfigFile('config.yml', Buffer.from(bytes).toString('utf8'));
  for (const problem of problems) assert.match(problem, /^config\.yml/, 'a problem that does not name the file');
}

function checkWebConfig(bytes: Uint8Array): void {
  try {
    parseWebConfig('web.yml', Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
}

function read(format: RecordingFormat, chunks: readonly Uint8Array[]): Reading {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  try {
    const reader = format.createReader('x', { kernel: () => sink, qemu: () => sink }, { vocabulary });
    for (const chunk of chunks) reader.push(chunk);
    reader.end('whole');
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { sink, refused: true };
  }
  return { sink, refused: false };
}

function decodePages(chunks: readonly Uint8Array[]): CountingSink {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const cursor = new PageCursor(new RecordDecoder({ formats: FORMATS, vocabulary, sink }), 0);
  const pages = new PageStream(PAGE_SIZE);
  const run = (page: Uint8Array | undefined): void => {
    if (page === undefined) return;
    cursor.load(page);
    cursor.run(Number.POSITIVE_INFINITY);
  };
  for (const chunk of chunks) {
    pages.push(chunk);
    for (let page = pages.next(); page !== undefined; page = pages.next()) run(page);
  }
  run(pages.end());
  return sink;
}

function chunksOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.map((part) => Math.floor(part * bytes.length)), bytes.length];
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

function countsOf(sink: CountingSink): Map<string, unknown> {
  return new Map(Object.entries(sink).filter(([name, value]) => value instanceof Map && name !== 'threads'));
}

function accountedLines(sink: CountingSink): number {
  const kinds = ['line', 'line-too-long', 'truncated'].map((kind) => sink.malformedKinds.get(kind) ?? 0);
  return total(sink.tracepoints) + total(sink.lostGaps) + kinds.reduce((a, b) => a + b);
}

/** A saved line may hold several events, with a mark between them: the shortest is `a_b\\n`. */
function maxEvents(bytes: Uint8Array): number {
  return lines(bytes) + bytes.length / 5;
}

/** The number of lines, whatever ends them. */
function lines(bytes: Uint8Array): number {
  return latin1(bytes).split(/[\r\n]/).length + latin1(bytes).split('\\n').length;
}

/** The number of lines that are neither empty nor comments. */
function contentLines(bytes: Uint8Array): number {
  const lines = latin1(bytes).split('\n');
  return lines.map((line) => line.replace(/\r$/, '')).filter((line) => line !== '' && !line.startsWith('#')).length;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function texts(all: readonly string[]): Buffer[] {
  return all.map((text) => Buffer.from(text));
}

/** The beginning, the middle and the end of a fixture. */
function parts(path: string): Uint8Array[] {
  const bytes = readFixture(path);
  const middle = bytes.length >> 1;
  return [bytes.subarray(0, SEED_LENGTH), bytes.subarray(middle, middle + SEED_LENGTH), bytes.subarray(-SEED_LENGTH)];
}

/** Files of all kinds of records, and the first samples of a recorded file, whose formats are not in the file. */
function perfSeeds(): Uint8Array[] {
  const small = (): PerfBuilder => {
    const fields = { sampleType: USUAL | SAMPLE.CALLCHAIN | SAMPLE.READ, readFormat: 0x1fn };
    const perf = new PerfBuilder({ config: 115, ids: [7n, 8n] }, { config: 115, ids: [9n], ...fields });
    const raw = payload(115, 101, [[8, 4, 0]]);
    perf.comm({ pid: 100, tid: 100 }, 'qemu-system-x86').fork({ pid: 100, tid: 101, time: 9n }, 100, 100);
    perf.sample({ id: 7n, pid: 100, tid: 101, time: 10n, cpu: 1 }, raw).lost({ id: 8n, time: 20n, cpu: 1 }, 5n);
    perf.sample({ id: 9n, pid: 100, tid: 101, time: 19n, variable: [1n, 1n, 1n, 5n, 9n, 0n, 2n, 1n, 2n] }, raw);
    perf.finishedRound().sample({ id: 8n, pid: 100, tid: 101, time: 15n, cpu: 0 }, raw).finishedRound();
    return perf
      .exit({ id: 7n, pid: 100, tid: 101, time: 30n })
      .lostSamples({ id: 7n }, 9n)
      .record(71, u64s(8n, 0n))
      .raw(u64s(0n));
  };
  const formats = tracingData(headerPage(PAGE_RECORDING), {
    kvm: [formatText('kvm_entry', 115, [['unsigned int vcpu_id', 8, 4]])],
  });
  const zstd = new ZstdPieces();
  const packed = small().records();
  const pieces = [packed.subarray(0, 100), packed.subarray(100)].map((piece) => zstd.add(piece));
  const compressed = new PerfBuilder({ config: 115, ids: [7n, 8n] });
  for (const piece of pieces) compressed.record(81, piece);
  const recorded = readFixture('perf-data/five-6.1.data');
  const front = recorded.subarray(0, 1064);
  return [
    small().file(formats),
    small().file(),
    small().pipe(formats),
    compressed.pipe(formats),
    compressed.file(formats),
    ...[60_000, 120_000, 190_000].map((at) => {
      const start = recordStart(recorded, front.length, at);
      return Buffer.concat([front, recorded.subarray(start, start + SEED_LENGTH)]);
    }),
    new Uint8Array(readFixture('perf-data/pipe-6.12.data').subarray(0, 18_000)),
  ];
}

/** Start of the first record from `at` on, of the records that begin at `first`. */
function recordStart(bytes: Buffer, first: number, at: number): number {
  let start = first;
  while (start < at) start += bytes.readUInt16LE(start + 6);
  return start;
}

/** Traces as people post them, with what other programs put around the lines. */
function publicTraces(): Uint8Array[] {
  const folder = join(ROOT, 'test/fixtures/public');
  const files = readdirSync(folder).filter((file) => file.endsWith('.txt'));
  return files
    .map((file) => readFileSync(join(folder, file)).subarray(0, SEED_LENGTH))
    .filter(({ length }) => length > 0);
}

function pageSeeds(): Uint8Array[] {
  const recordings = [PAGE_RECORDING, 'exact/e3-hlt-irqchip-off', 'ftrace-raw/d3-overrun'];
  return recordings.flatMap((name) => {
    const bytes = readFixture(`${name}/cpu0.raw`);
    return [bytes.subarray(0, PAGE_SIZE), bytes.subarray(PAGE_SIZE, 3 * PAGE_SIZE)];
  });
}

function traceDatSeeds(): Uint8Array[] {
  const texts = formatTexts(PAGE_RECORDING);
  const kvm = ['print', 'kvm_exit', 'kvm_entry', 'kvm_userspace_exit'].flatMap((name) => texts.get(name) ?? []);
  const bytes = readFixture(`${PAGE_RECORDING}/cpu0.raw`);
  const cpus = [[bytes.subarray(0, PAGE_SIZE)], [bytes.subarray(PAGE_SIZE, 2 * PAGE_SIZE)]];
  const parts = { headerPage: headerPage(PAGE_RECORDING), ftrace: [], systems: { kvm }, cmdlines: '7 a\n' };
  const buffers = [{ cpus }, { name: 'b', clock: 'mono', cpus: [[], cpus[0] ?? []] }];
  return [
    buildVersion6({ ...parts, buffers: [{ cpus }], options: [tsc2nsec(3, 1), cpuStat(0, 4)] }),
    buildVersion6({ ...parts, systems: {}, buffers }),
    buildVersion7({ ...parts, buffers: [{ cpus }] }),
    buildVersion7({ ...parts, buffers }, 'zlib'),
    readFixture('trace-dat/v7-tsc2nsec-6.1.dat'),
  ];
}

function zstdSeeds(): Uint8Array[] {
  return readdirSync(fixture('zstd')).map((name) => readFixture(`zstd/${name}`));
}

function procSeeds(): Uint8Array[] {
  const root = join(ROOT, 'test/fixtures');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /\/(?:cmdline|cgroup|comm)$/.test(file)).map((file) => readFileSync(join(root, file)));
}
