/**
 * Cost of many VMs on a host: `node build/test/bench/cost-by-series.js [FILE.json]`. Needs no guests and no rights.
 *
 * Synthetic ring-buffer pages of up to 1,000 VMs x 8 vCPUs x 20 exit reasons are decoded, counted, limited as by
 * default and written as text; then those of fewer VMs, whose exits also have durations. Each size is measured in a
 * process of its own.
 *
 *   CPU per event       decoding and counting; the threads take turns, which is the worst case for caches
 *   time of a scrape    from the snapshot to the last byte; the median of five
 *   resident memory     of the whole process, at the end and at its peak
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
import type { VmInfo } from '../../src/snapshot/tables/vms.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { ExpositionWriter } from '../../src/web/metrics/exposition-writer.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { median } from '../support/median.js';
import { formatText, headerPageText, PageBuilder, payload } from '../support/trace/page-builder.js';

const SIZES: readonly Size[] = [
  ...[6, 30, 125, 250, 500, 1000].map((vms) => ({ vms, durations: false })),
  ...[10, 50, 100, 200, 400].map((vms) => ({ vms, durations: true })),
];
const VCPUS = 8;
const REASONS = 20;
const PASSES = 3;
const SCRAPES = 5;
/** Bytes for records in a page. */
const PAGE_DATA_BYTES = 4080;
/** Upper limit of the size of a record. */
const RECORD_BYTES = 32;

const EXIT = 1;
const USERSPACE_EXIT = 2;
const ENTRY = 3;
/** Reasons that KVM handles. The remaining ones reach userspace. */
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
  /** The pages contain entries, so that each exit has a duration. That makes three times as many series. */
  readonly durations: boolean;
}

interface Measurement extends Size {
  readonly series: number;
  readonly exitSeries: number;
  readonly nsPerEvent: number;
  readonly events: number;
  readonly textMs: number;
  readonly openMetricsMs: number;
  readonly textBytes: number;
  readonly residentBytes: number;
  readonly maxResidentBytes: number;
}

/** Pages in which every thread exits once for each reason. The threads take turns. */
function* pagesOf({ vms, durations }: Size, pass: number): Generator<Uint8Array, void, undefined> {
  let timeNs = 1_000_000_000n + BigInt(pass) * 60_000_000_000n;
  let page = new PageBuilder(timeNs);
  let used = 0;
  for (let reason = 0; reason < REASONS; reason++)
    for (let tid = FIRST_TID; tid < FIRST_TID + vms * VCPUS; tid++) {
      if (used + 2 * (RECORD_BYTES + 4) > PAGE_DATA_BYTES) {
        yield page.build();
        page = new PageBuilder(timeNs);
        used = 0;
      }
      timeNs += 500n;
      page.event(500, reason < KVM_REASONS ? exit(tid, reason) : userspaceExit(tid, reason - KVM_REASONS));
      used += RECORD_BYTES + 4;
      if (!durations) continue;
      page.event(500, payload(ENTRY, tid, [[8, 4, (tid - FIRST_TID) % VCPUS]]));
      timeNs += 500n;
      used += RECORD_BYTES + 4;
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

async function measure(size: Size): Promise<Measurement> {
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
      if (counts.threads.takeNew().length > 0) ledger.resolveOwners(0);
    }
  ledger.kernelCountsAll = true;
  const limiter = new SeriesLimiter(DEFAULT_LIMITS);
  const limitedSnapshot = () => limiter.apply(takeSnapshot(ledger.totals(), infos));
  const writer = new ExpositionWriter(new PrometheusView({ takeSnapshot: limitedSnapshot, version: 'bench' }));
  const text = await scrape(writer, PROMETHEUS_TEXT);
  const openMetrics = await scrape(writer, OPENMETRICS);
  const { series, exits } = limitedSnapshot();
  const expected = vms * VCPUS * REASONS;
  if (exits.length !== expected) throw new Error(`expected ${expected} series of kvm_exits_total, got ${exits.length}`);
  const events = [...exits].reduce((sum, { count }) => sum + count, 0);
  if (events !== expected * PASSES) throw new Error(`expected ${expected * PASSES} exits, counted ${events}`);
  return {
    ...size,
    series: series?.count ?? 0,
    exitSeries: exits.length,
    nsPerEvent: (cpuUs * 1000) / events,
    events,
    textMs: text.ms,
    openMetricsMs: openMetrics.ms,
    textBytes: text.bytes,
    residentBytes: process.memoryUsage().rss,
    maxResidentBytes: process.resourceUsage().maxRSS * 1024,
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
  return { ms: median(times), bytes };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

function measureAll(file: string | undefined): void {
  console.log('Cost of many VMs on a host: 8 vCPUs per VM, 20 exit reasons per vCPU');
  const sizes = SIZES.map((size): Measurement => {
    const measurement: Measurement = JSON.parse(
      execFileSync(process.execPath, [import.meta.filename, JSON.stringify(size)], { encoding: 'utf8' }),
    );
    console.log(`  ${describe(measurement)}`);
    return measurement;
  });
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ node: process.version, sizes }, null, 2)}\n`);
}

function describe(measurement: Measurement): string {
  const { vms, durations, series, exitSeries, nsPerEvent } = measurement;
  const { textMs, openMetricsMs, textBytes, residentBytes, maxResidentBytes } = measurement;
  return [
    `${vms} VMs ${durations ? 'with' : 'without'} durations: ${series} series, ${exitSeries} of them kvm_exits_total`,
    `${nsPerEvent.toFixed(0)} ns of CPU per event`,
    `scrape in ${textMs.toFixed(0)} ms (OpenMetrics ${openMetricsMs.toFixed(0)} ms), ${megabytes(textBytes)} of text`,
    `resident memory ${megabytes(residentBytes)}, at most ${megabytes(maxResidentBytes)}`,
  ].join('; ');
}

const [argument] = process.argv.slice(2);
if (argument?.startsWith('{') === true) console.log(JSON.stringify(await measure(JSON.parse(argument))));
else measureAll(argument);
