/**
 * A host of many VMs: `node build/test/bench/scale.js [FILE.json]`. Each size has a process of its own.
 *
 * Ring-buffer pages of 1,000 VMs x 8 vCPUs x 20 reasons (and of fewer VMs), made byte by byte, go the whole way: decoded, counted, limited
 * as by default, written as text; then fewer VMs whose exits have durations, too. Of the series those of kvm_exits_total are named; the rest comes on top of them.
 *
 *   drained   CPU per event, all threads in turn: the worst for any cache
 *   scrape    from the snapshot to the last byte, the median of some
 *   resident  the whole process afterwards, and the most it ever was
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Ledger } from '../../src/count/ledger.js';
import { readEventFormats } from '../../src/decode/format/event-format.js';
import { PageCursor } from '../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../src/decode/ftrace/record-decoder.js';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../src/expose/text-format.js';
import { DEFAULT_LIMITS, SeriesLimiter } from '../../src/snapshot/series-limiter.js';
import type { VmInfo } from '../../src/snapshot/snapshot.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { ExpositionWriter } from '../../src/web/metrics/exposition-writer.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { formatText, headerPageText, PageBuilder, payload } from '../support/trace/page-builder.js';

const SIZES: readonly Size[] = [
  ...[6, 30, 125, 250, 500, 1000].map((vms) => ({ vms, durations: false })),
  ...[10, 50, 100, 200, 400].map((vms) => ({ vms, durations: true })),
];
const VCPUS = 8;
const REASONS = 20;
const PASSES = 3;
const SCRAPES = 5;
/** Room for the data of a page, and what one record takes of it at most. */
const [PAGE_DATA, RECORD] = [4080, 32];

const EXIT = 1;
const USERSPACE_EXIT = 2;
const ENTRY = 3;
/** A dozen exits that KVM handles, and eight that reach userspace. */
const KVM_REASONS = 12;

const names = Array.from({ length: KVM_REASONS }, (_, reason) => `{ ${reason}, "EXIT_REASON_${reason}" }`).join(', ');
const FORMATS = [
  formatText(
    'kvm_exit',
    EXIT,
    [
      ['unsigned int exit_reason', 8, 4],
      ['unsigned long guest_rip', 16, 8],
      ['u32 isa', 24, 4],
      ['unsigned int vcpu_id', 28, 4],
    ],
    `"reason %s", __print_symbolic(REC->exit_reason, ${names})`,
  ),
  formatText('kvm_userspace_exit', USERSPACE_EXIT, [
    ['__u32 reason', 8, 4],
    ['int errno', 12, 4],
  ]),
  formatText('kvm_entry', ENTRY, [['unsigned int vcpu_id', 8, 4]]),
];

interface Size {
  readonly vms: number;
  /** With entries: all exits have their durations, which makes three times as many series. */
  readonly durations: boolean;
}

interface Figures extends Size {
  readonly series: number;
  readonly exitSeries: number;
  readonly nsPerEvent: number;
  readonly events: number;
  readonly eventsLost: number;
  readonly textMs: number;
  readonly openMetricsMs: number;
  readonly textBytes: number;
  readonly residentBytes: number;
  readonly mostResidentBytes: number;
}

/** Every thread exits once for each reason, all threads in turn. */
function* pagesOf({ vms, durations }: Size, pass: number): Generator<Uint8Array, void, undefined> {
  let timeNs = 1_000_000_000n + BigInt(pass) * 60_000_000_000n;
  let page = new PageBuilder(timeNs);
  let used = 0;
  for (let reason = 0; reason < REASONS; reason++)
    for (let tid = FIRST_TID; tid < FIRST_TID + vms * VCPUS; tid++) {
      if (used + 2 * RECORD + 8 > PAGE_DATA) {
        yield page.build();
        page = new PageBuilder(timeNs);
        used = 0;
      }
      timeNs += 500n;
      page.event(500, reason < KVM_REASONS ? exit(tid, reason) : userspaceExit(tid, reason - KVM_REASONS));
      used += RECORD + 4;
      if (!durations) continue;
      page.event(500, payload(ENTRY, tid, [[8, 4, (tid - FIRST_TID) % VCPUS]]));
      timeNs += 500n;
      used += RECORD + 4;
    }
  yield page.build();
}

const FIRST_TID = 10_000;

function exit(tid: number, reason: number): Uint8Array {
  return payload(EXIT, tid, [
    [8, 4, reason],
    [24, 4, 1],
    [28, 4, (tid - FIRST_TID) % VCPUS],
  ]);
}

function userspaceExit(tid: number, reason: number): Uint8Array {
  return payload(USERSPACE_EXIT, tid, [
    [8, 4, reason],
    [12, 4, 0],
  ]);
}

async function measure(size: Size): Promise<Figures> {
  const { vms } = size;
  const infos = vmInfos(vms);
  const ledger = newLedger(infos);
  const counts = ledger.kernelSource('tracefs');
  const { formats, problems } = formatsOf();
  if (problems.length > 0) throw new Error(problems.join());
  const cursor = new PageCursor(new RecordDecoder({ formats, vocabulary: ledger.vocabulary, sink: counts }), 0);
  let cpuUs = 0;
  for (let pass = 0; pass < PASSES; pass++)
    for (const page of pagesOf(size, pass)) {
      const before = process.cpuUsage();
      cursor.load(page);
      cursor.run(Number.POSITIVE_INFINITY);
      const { user, system } = process.cpuUsage(before);
      cpuUs += user + system;
      if (counts.takeNewThreads().length > 0) ledger.resolveOwners();
    }
  ledger.kernelCountsAll = true;
  const limiter = new SeriesLimiter(DEFAULT_LIMITS);
  const limitedSnapshot = () => limiter.apply(takeSnapshot(ledger.totals(), infos));
  const writer = new ExpositionWriter(new PrometheusView({ takeSnapshot: limitedSnapshot, version: 'bench' }));
  const text = await scrape(writer, PROMETHEUS_TEXT);
  const openMetrics = await scrape(writer, OPENMETRICS);
  const { series, exits, sources } = limitedSnapshot();
  const expected = vms * VCPUS * REASONS;
  if (exits.length !== expected) throw new Error(`${exits.length} series of exits, ${expected} were made`);
  const events = [...exits].reduce((sum, { count }) => sum + count, 0);
  if (events !== expected * PASSES) throw new Error(`${events} exits counted, ${expected * PASSES} were made`);
  return {
    ...size,
    series: series?.count ?? 0,
    exitSeries: exits.length,
    nsPerEvent: (cpuUs * 1000) / events,
    events,
    eventsLost: sources.length === 1 ? expected * PASSES - events : Number.NaN,
    textMs: text.ms,
    openMetricsMs: openMetrics.ms,
    textBytes: text.bytes,
    residentBytes: process.memoryUsage().rss,
    mostResidentBytes: process.resourceUsage().maxRSS * 1024,
  };
}

function vmInfos(vms: number): VmInfo[] {
  const label = (vm: number) => `instance-${String(vm).padStart(8, '0')}`;
  return Array.from({ length: vms }, (_, vm) => vmInfo({ vm: label(vm), pid: String(vm), vcpus: VCPUS }));
}

function newLedger(infos: readonly VmInfo[]): Ledger {
  const identities = infos.map(({ vm }) => ({ label: vm }));
  return new Ledger({
    ownerOf: (tid) => {
      const index = tid - FIRST_TID;
      return { vm: identities[Math.floor(index / VCPUS)], vcpu: String(index % VCPUS) };
    },
  });
}

function formatsOf() {
  const read = readEventFormats(headerPageText(), FORMATS);
  if ('problem' in read) throw new Error(read.problem);
  return read;
}

async function scrape(writer: ExpositionWriter, format: TextFormat): Promise<{ ms: number; bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < SCRAPES; round++) {
    const startMs = performance.now();
    const exposition = await writer.request(format);
    times.push(performance.now() - startMs);
    bytes = exposition.plain.reduce((sum, { length }) => sum + length, 0);
    exposition.done();
  }
  return { ms: times.sort((a, b) => a - b)[SCRAPES >> 1] ?? Number.NaN, bytes };
}

function measureAll(file: string | undefined): void {
  const sizes = SIZES.map((size): Figures => {
    const figures: Figures = JSON.parse(
      execFileSync(process.execPath, [import.meta.filename, JSON.stringify(size)], { encoding: 'utf8' }),
    );
    const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
    console.log(
      [
        `${figures.vms} VMs${figures.durations ? ' with durations' : ''}: ${figures.exitSeries} series of exits, ${figures.series} in all`,
        `${figures.nsPerEvent.toFixed(0)} ns/event, ${figures.eventsLost} lost`,
        `scrape ${figures.textMs.toFixed(0)} ms, OpenMetrics ${figures.openMetricsMs.toFixed(0)} ms, ${mb(figures.textBytes)}`,
        `resident ${mb(figures.residentBytes)}, at most ${mb(figures.mostResidentBytes)}`,
      ].join('; '),
    );
    return figures;
  });
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ node: process.version, sizes }, null, 2)}\n`);
}

const [argument] = process.argv.slice(2);
if (argument?.startsWith('{') === true) console.log(JSON.stringify(await measure(JSON.parse(argument))));
else measureAll(argument);
