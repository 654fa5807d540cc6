/**
 * Decodes the pages of whole recordings. The counts must equal those of other tools (expected.json of each recording),
 * of the kernel's own statistics and of hist triggers.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { PageStream } from '../../../src/decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { readFixture } from '../../support/fixtures.js';
import { CountingSink, plain, total } from '../../support/trace/counting-sink.js';
import { readFormats } from '../../support/trace/recorded-formats.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

interface Decoded {
  readonly sink: CountingSink;
  /** For each CPU, the number of records and the time of the first. */
  readonly cpus: readonly { readonly records: number; readonly firstTimeNs: number }[];
}

/** Decodes the files of all CPUs, merged by time. Fails if anything is malformed. */
function decode(recording: string, files: readonly string[]): Decoded {
  const vocabulary = newVocabulary();
  const sink = new CountingSink(vocabulary);
  const formats = readFormats(recording);
  const decoder = new RecordDecoder({ formats, vocabulary, sink });
  const cpus = files.map((file, cpu) => {
    const pages = new PageStream(formats.pageHeader.pageSize);
    pages.push(readFixture(`${recording}/${file}`));
    return { cursor: new PageCursor(decoder, cpu), pages, records: 0, firstTimeNs: Number.NaN };
  });
  let lastTimeNs = 0;
  for (;;) {
    for (const cpu of cpus) {
      while (cpu.cursor.nextTimeNs === Number.POSITIVE_INFINITY) {
        const page = cpu.pages.next();
        if (page === undefined) break;
        cpu.cursor.load(page);
      }
      if (Number.isNaN(cpu.firstTimeNs)) cpu.firstTimeNs = cpu.cursor.nextTimeNs;
    }
    const [first, second] = cpus.toSorted((a, b) => a.cursor.nextTimeNs - b.cursor.nextTimeNs || 0);
    if (first === undefined || first.cursor.nextTimeNs === Number.POSITIVE_INFINITY) break;
    assert.ok(first.cursor.nextTimeNs >= lastTimeNs, 'time went back');
    lastTimeNs = first.cursor.nextTimeNs;
    first.records += first.cursor.run(second?.cursor.nextTimeNs ?? Number.POSITIVE_INFINITY);
  }
  for (const { pages } of cpus) assert.equal(pages.end(), undefined);
  assert.deepEqual(plain(sink.malformedKinds), {});
  return { sink, cpus };
}

type Json = Readonly<Record<string, unknown>>;
type PlainCounts = Record<string, number>;

function expectedOf(recording: string): Json {
  return JSON.parse(readFixture(`${recording}/expected.json`).toString()) as Json;
}

function counts(json: Json, ...path: string[]): PlainCounts {
  let value: unknown = json;
  for (const key of path) value = (value as Json)[key];
  return value as PlainCounts;
}

/** The kernel's statistics of each CPU: `entries: 9624`. */
function statistics(recording: string): { entries: number; overrun: number; oldestSeconds: string }[] {
  const text = readFixture(`${recording}/stats_before_drain.txt`).toString();
  return text
    .split(/^cpu\d+$/m)
    .slice(1)
    .map((cpu) => ({
      entries: Number(/entries: (\d+)/.exec(cpu)?.[1]),
      overrun: Number(/overrun: (\d+)/.exec(cpu)?.[1]),
      oldestSeconds: /oldest event ts: +([\d.]+)/.exec(cpu)?.[1] ?? '',
    }));
}

const KVM_EXIT: Readonly<Record<string, string>> = { 2: 'IO', 5: 'HLT', 6: 'MMIO', 17: 'INTERNAL_ERROR' };

/** `7719 reason KVM_EXIT_IO (2)` -> `7719 KVM_EXIT_IO`. */
function byTid(texts: PlainCounts): PlainCounts {
  return Object.fromEntries(
    Object.entries(texts).map(([text, count]) => [text.replace(/ reason (\S+) \(\d+\)$/, ' $1'), count]),
  );
}

/** `7719 kvm_run_exit cpu_index 0, reason 2` -> `7719 0 KVM_EXIT_IO`. */
function runExits(texts: PlainCounts): PlainCounts {
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([text]) => text.includes('kvm_run_exit'))
      .map(([text, count]) => {
        const [, tid, cpuIndex, reason] = /^(\d+) kvm_run_exit cpu_index (\d+), reason (\d+)$/.exec(text) ?? [];
        return [`${tid} ${cpuIndex} KVM_EXIT_${KVM_EXIT[reason ?? '']}`, count];
      }),
  );
}

/** `7719 pio_read at 0x21` -> `in 0x21`, added up over threads. */
function ports(texts: PlainCounts): PlainCounts {
  const sums: PlainCounts = {};
  for (const [text, count] of Object.entries(texts)) {
    const key = text.replace(/^\d+ pio_read at /, 'in ').replace(/^\d+ pio_write at /, 'out ');
    sums[key] = (sums[key] ?? 0) + count;
  }
  return sums;
}

function withoutSizes(sized: PlainCounts): PlainCounts {
  const sums: PlainCounts = {};
  for (const [key, count] of Object.entries(sized)) {
    const port = key.split(' ').slice(0, 2).join(' ');
    sums[port] = (sums[port] ?? 0) + count;
  }
  return sums;
}

const CPU_FILES = ['cpu0.raw', 'cpu1.raw'];

const COMPLETE = [
  { recording: 'ftrace-raw/d1-drained-after', text: 'second_instance_text' },
  { recording: 'exact/e2-mix', text: 'text' },
  { recording: 'exact/e3-hlt-irqchip-off', text: 'text' },
  { recording: 'exact/e6-internal-error', text: 'text' },
  { recording: 'virtio/kvm-seabios-ioeventfd', text: 'text' },
  { recording: 'virtio/kvm-seabios-no-ioeventfd', text: 'text' },
];

for (const { recording, text } of COMPLETE) {
  describe(recording, () => {
    const { sink, cpus } = decode(recording, CPU_FILES);
    const expected = expectedOf(recording);

    it('has every event that the text of the same run has', () => {
      assert.deepEqual(plain(sink.tracepoints), counts(expected, text, 'events'));
    });

    it('has the userspace exits of each thread', () => {
      assert.deepEqual(plain(sink.userspaceExits), byTid(counts(expected, text, 'kvm_userspace_exit_by_tid')));
    });

    it("has QEMU's kvm_run_exit of each thread and vCPU", () => {
      assert.deepEqual(plain(sink.qemuRunExits), runExits(counts(expected, text, 'markers_by_tid')));
    });

    it('has the port accesses', () => {
      assert.deepEqual(withoutSizes(plain(sink.portIos)), ports(counts(expected, text, 'kvm_pio_by_tid_dir_port')));
    });

    it('agrees with the kernel on the records and the first time of each CPU, and lost nothing', () => {
      const kernel = statistics(recording);
      assert.deepEqual(
        cpus.map(({ records }) => records),
        kernel.map(({ entries }) => entries),
      );
      for (const [cpu, { oldestSeconds, entries }] of kernel.entries()) {
        if (entries === 0) continue;
        const micros = Math.round((cpus[cpu]?.firstTimeNs ?? 0) / 1000);
        assert.equal(micros, Math.round(Number(oldestSeconds) * 1e6));
      }
      assert.equal(total(sink.lostGaps), 0);
    });
  });
}

describe('virtio', () => {
  for (const recording of ['virtio/kvm-seabios-ioeventfd', 'virtio/kvm-seabios-no-ioeventfd']) {
    it(`has the events of QEMU's markers: ${recording}`, () => {
      const { sink } = decode(recording, CPU_FILES);
      assert.deepEqual(plain(sink.qemuEvents), counts(expectedOf(recording), 'marker_events'));
    });
  }
});

describe('ftrace-raw/d3-overrun', () => {
  const recording = 'ftrace-raw/d3-overrun';
  const { sink, cpus } = decode(recording, CPU_FILES);
  const expected = expectedOf(recording);

  it('has the events that trace-cmd finds in the same bytes', () => {
    const { print, ...events } = counts(expected, 'trace_cmd', 'events');
    assert.deepEqual(plain(sink.tracepoints), { ...events, tracing_mark_write: print });
  });

  it('reports how many events each CPU lost', () => {
    const lost = statistics(recording).map(({ overrun }, cpu) => [String(cpu), overrun]);
    assert.deepEqual(plain(sink.lostEvents), Object.fromEntries(lost));
    assert.deepEqual(plain(sink.lostGaps), { 0: 1, 1: 1 });
    assert.equal(sink.unknownLosses, 0);
  });

  it('accounts for every event: found and lost ones together are those of the text instance', () => {
    const written = counts(expected, 'second_instance_text', 'per_cpu_lines');
    for (const [cpu, { records }] of cpus.entries()) {
      assert.equal(records + (sink.lostEvents.get(String(cpu)) ?? 0), written[`00${cpu}`]);
    }
  });

  it('has the remaining markers', () => {
    assert.deepEqual(plain(sink.qemuRunExits), runExits(counts(expected, 'trace_cmd', 'markers_by_tid')));
  });
});

describe('svm/two-vms-6.12', () => {
  const recording = 'svm/two-vms-6.12';
  const { sink, cpus } = decode(recording, ['raw/cpu0.raw', 'raw/cpu1.raw']);

  it('has the exits that the hist trigger counted, by thread, vCPU and reason', () => {
    // Exit codes from the AMD manual, volume 2, appendix C, with the kernel's names.
    const names: Record<string, string> = { 0: 'read_cr0', 16: 'write_cr0', 96: 'interrupt', 100: 'vintr' };
    Object.assign(names, { 114: 'cpuid', 120: 'hlt', 123: 'io', 1024: 'npf' });
    const hist = histogram(recording, 'hist_kvm_exit.txt').map(
      ([[tid, vcpu, reason], hits]) => [`${tid} ${vcpu} ${names[String(reason)]}`, hits] as const,
    );
    assert.deepEqual(plain(sink.vmExits), Object.fromEntries(hist));
  });

  it('has the userspace exits that the hist trigger counted', () => {
    assert.deepEqual(plain(sink.userspaceExits), userspaceHistogram(recording));
  });

  it('has the exits of expected.json, counted in the text, by VM and vCPU', () => {
    // The thread ids are from the hist trigger; the recording's README names the VM of each.
    const vms: Record<string, string> = { 187: 'vm-a 0', 188: 'vm-a 1', 186: 'vm-b 0' };
    const seen: PlainCounts = {};
    for (const [key, count] of sink.vmExits) {
      const [tid, vcpu, ...reason] = key.split(' ');
      assert.equal(vms[tid ?? '']?.split(' ')[1], vcpu);
      seen[`${vms[tid ?? '']} kvm ${reason.join(' ')}`] = count;
    }
    for (const [key, count] of sink.userspaceExits) {
      const [tid, reason] = key.split(' ');
      seen[`${vms[tid ?? '']} qemu ${reason}`] = count;
    }
    const rows = expectedOf(recording).exits as {
      vm: string;
      vcpu: string;
      layer: string;
      reason: string;
      count: number;
    }[];
    const exits = rows.map(({ vm, vcpu, layer, reason, count }) => [`${vm} ${vcpu} ${layer} ${reason}`, count]);
    assert.deepEqual(seen, Object.fromEntries(exits));
  });

  it('has all entries and as many records as were read', () => {
    assert.equal(total(sink.vmEntries), 6208);
    const read = [
      ...readFixture(`${recording}/stats_raw.txt`)
        .toString()
        .matchAll(/read events: (\d+)/g),
    ];
    assert.deepEqual(
      cpus.map(({ records }) => records),
      read.map(([, records]) => Number(records)),
    );
    assert.equal(total(sink.lostGaps), 0);
  });
});

describe('demo, its first 2000 pages', () => {
  const { sink } = decode('demo', ['raw/cpu0.first-2000-pages.raw']);
  const expected = JSON.parse(readFixture('demo/expected-first-2000-pages.json').toString()) as Json;

  for (const kind of ['tracepoints', 'vmExits', 'vmEntries', 'userspaceExits', 'portIos', 'mmios'] as const) {
    it(`has the ${kind} of the text of the same run`, () => {
      assert.deepEqual(plain(sink[kind]), counts(expected, kind));
    });
  }

  it('has the times of the text, up to the delay between the two instances (2 us, at most 4.5 ms)', () => {
    assert.ok(Math.abs(sink.firstTimeNs / 1e9 - Number(expected.firstTimeSeconds)) < 5e-3);
    assert.ok(Math.abs(sink.lastTimeNs / 1e9 - Number(expected.lastTimeSeconds)) < 5e-3);
  });
});

/** The rows of a hist trigger: the numbers of the key, and the hit count. */
function histogram(recording: string, file: string): [numbers: bigint[], hits: number][] {
  const rows = readFixture(`${recording}/${file}`)
    .toString()
    .matchAll(/^\{ (.*) \} hitcount: +(\d+)$/gm);
  return [...rows].map(([, keys = '', hits]) => [
    keys.split(',').map((key) => BigInt(key.split(':')[1] ?? '')),
    Number(hits),
  ]);
}

function userspaceHistogram(recording: string): PlainCounts {
  const sums: PlainCounts = {};
  for (const [[tid, reason, errno = 0n], hits] of histogram(recording, 'hist_kvm_userspace_exit.txt')) {
    const code = BigInt.asIntN(64, errno);
    const failed = code === -4n ? 'restart' : 'error';
    const key = `${tid} ${code < 0n ? failed : `KVM_EXIT_${KVM_EXIT[String(reason)]}`}`;
    sums[key] = (sums[key] ?? 0) + hits;
  }
  return sums;
}
