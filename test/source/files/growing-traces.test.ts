/** Recordings that grow slice by slice give the same counts as the whole file. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import { readFixture, readJson } from '../../support/fixtures.js';
import { HANG_MS } from '../../support/patience.js';
import { followTraces } from '../../support/trace/followed-traces.js';

interface Expected {
  readonly events: Record<string, number>;
  /** Count by `cpu0,reason2`. */
  readonly kvm_run_exit_by_cpu_reason: Record<string, number>;
}

interface VirtioExpected {
  readonly log_events: Record<string, number>;
  readonly log_kvm_run_exit: Record<string, number>;
  readonly simple: Expected;
}

const REASONS = new Map([
  ['2', 'KVM_EXIT_IO'],
  ['5', 'KVM_EXIT_HLT'],
  ['6', 'KVM_EXIT_MMIO'],
]);

const virtioLog = (name: string): Expected => {
  const expected = readJson<VirtioExpected>(`virtio/${name}/expected.json`);
  return { events: expected.log_events, kvm_run_exit_by_cpu_reason: expected.log_kvm_run_exit };
};
const virtioSimple = (name: string): Expected => readJson<VirtioExpected>(`virtio/${name}/expected.json`).simple;

const RECORDINGS: readonly (readonly ['log' | 'simple', string, () => Expected])[] = [
  ['log', 'qemu-log/b1-plain/log.txt', () => readJson('qemu-log/b1-plain/expected-log.txt.json')],
  ['log', 'qemu-log/b2-timestamp/log.txt', () => readJson('qemu-log/b2-timestamp/expected-log.txt.json')],
  ['log', 'qemu-log/b4-many-plain/log.txt', () => readJson('qemu-log/b4-many-plain/expected-log.txt.json')],
  ['log', 'qemu-log/b6-mixed-lines/log.txt', () => readJson('qemu-log/b6-mixed-lines/expected-log.txt.json')],
  ['log', 'virtio/kvm-seabios-ioeventfd/log.txt', () => virtioLog('kvm-seabios-ioeventfd')],
  ['log', 'virtio/kvm-seabios-no-ioeventfd/log.txt', () => virtioLog('kvm-seabios-no-ioeventfd')],
  ['simple', 'qemu-simple/a1-seabios-2vcpu/trace-a1', () => readJson('qemu-simple/a1-seabios-2vcpu/expected.json')],
  ['simple', 'qemu-simple/a2-exact-2vcpu/trace-a2', () => readJson('qemu-simple/a2-exact-2vcpu/expected.json')],
  ['simple', 'qemu-simple/a7-many-events/trace-a7', () => readJson('qemu-simple/a7-many-events/expected.json')],
  [
    'simple',
    'qemu-log/b4-many-plain/trace-simple',
    () => readJson('qemu-log/b4-many-plain/expected-trace-simple.json'),
  ],
  ['simple', 'virtio/kvm-seabios-ioeventfd/trace-simple', () => virtioSimple('kvm-seabios-ioeventfd')],
  ['simple', 'virtio/kvm-seabios-no-ioeventfd/trace-simple', () => virtioSimple('kvm-seabios-no-ioeventfd')],
  [
    'simple',
    'virtio/tcg-linux-iothread/trace-simple',
    () => readJson('virtio/tcg-linux-iothread/expected-simple.json'),
  ],
];

/** A Lehmer generator: pseudo-random numbers that are the same in every run. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

/** @param isRead true once something of the file was read, for which the last slice waits */
async function grow(path: string, content: Buffer, random: () => number, isRead: () => boolean): Promise<void> {
  for (let at = 0; at < content.length; ) {
    // Mostly small slices, and a few large ones.
    const size = Math.ceil(random() ** 4 * 16384);
    const isLast = at > 0 && at + size >= content.length;
    for (const endMs = performance.now() + HANG_MS; isLast && !isRead(); await sleep(5))
      assert.ok(performance.now() < endMs, 'nothing was read while it grew');
    appendFileSync(path, content.subarray(at, at + size));
    at += size;
    await sleep(random() * 30);
  }
}

/** The names of QEMU 7.2, whether this host has a QEMU or not. */
const traceEvents = join(mkdtempSync(join(tmpdir(), 'trace-events-')), 'trace-events-all');
writeFileSync(traceEvents, readFixture('qemu-simple/trace-events-all'));
after(() => rmSync(dirname(traceEvents), { recursive: true }));

describe('a recording that grows in random slices counts the same as the whole', { concurrency: 8 }, () => {
  RECORDINGS.forEach(([kind, path, read], index) => {
    test(path, { timeout: 300_000 }, async (t) => {
      const { events, kvm_run_exit_by_cpu_reason: exits } = read();
      const name = kind === 'log' ? 'vm.log' : 'trace-vm';
      const followed = followTraces(t, kind === 'log' ? { log: '*.log', traceEvents } : { simple: 'trace-*' });
      writeFileSync(join(followed.folder, name), '');
      followed.traces.scan(performance.now());
      const isRead = () => (takeSnapshot(followed.ledger.totals()).sources[0]?.events ?? 0) > 0;
      await grow(join(followed.folder, name), readFixture(path), randoms(index + 1), isRead);
      const all = Object.values(events).reduce((sum, count) => sum + count, 0);
      const snapshot = await followed.until(all);
      const [source] = snapshot.sources;
      assert.deepEqual([source?.malformed, source?.lost], [[], []]);
      assert.deepEqual(Object.fromEntries(snapshot.qemuEvents.map(({ event, count }) => [event, count])), events);
      assert.deepEqual(
        Object.fromEntries(snapshot.exits.map(({ vcpu, reason, count }) => [`${vcpu} ${reason}`, count])),
        Object.fromEntries(
          Object.entries(exits).map(([key, count]) => {
            const [, cpu = '', reason = ''] = /^cpu(\d+),reason(\d+)$/.exec(key) ?? [];
            return [`${cpu} ${REASONS.get(reason)}`, count];
          }),
        ),
      );
    });
  });
});

test('of a simple trace that exists at the start only new events count, although the names are at its beginning', async (t) => {
  const content = readFixture('qemu-simple/a2-exact-2vcpu/trace-a2');
  const all = readJson<Expected>('qemu-simple/a2-exact-2vcpu/expected.json').events.kvm_run_exit ?? 0;
  // A record of kvm_run_exit is 48 bytes long with its type; the file ends with about 100 of them.
  const after = 100 * 48;
  const followed = followTraces(t, {
    simple: 'trace-*',
    before: (folder) => writeFileSync(join(folder, 'trace-vm'), content.subarray(0, content.length - after)),
  });
  await followed.until(0);
  const before = takeSnapshot(followed.ledger.totals()).sources[0]?.events ?? -1;
  appendFileSync(join(followed.folder, 'trace-vm'), content.subarray(content.length - after));
  const events = (await followed.until(99)).sources[0]?.events ?? 0;
  assert.equal(before, 0);
  assert.ok(events >= 99 && events <= 101 && events < all, `${events} events`);
});

test('a simple trace that is truncated counts on, and reports an unknown loss', async (t) => {
  const content = readFixture('qemu-simple/a2-exact-2vcpu/trace-a2');
  const all = readJson<Expected>('qemu-simple/a2-exact-2vcpu/expected.json').events.kvm_run_exit ?? 0;
  const followed = followTraces(t, { simple: 'trace-*' });
  const path = join(followed.folder, 'trace-vm');
  writeFileSync(path, content);
  await followed.until(all);
  writeFileSync(path, content.subarray(0, 200));
  const gaps = () => takeSnapshot(followed.ledger.totals()).sources[0]?.lost.length ?? 0;
  for (const endMs = performance.now() + HANG_MS; gaps() === 0; await sleep(20))
    assert.ok(performance.now() < endMs, 'the loss is not reported');
  appendFileSync(path, content.subarray(200));
  const { sources } = await followed.until(2 * all);
  assert.deepEqual(
    sources.map(({ source, events, lost }) => [source, events, lost.map(({ unknownGaps }) => unknownGaps)]),
    [['qemu_simple', 2 * all, [1]]],
  );
});

/** Signals that QEMU saw, by kind, and the devices that were named. */
async function signals(t: Parameters<typeof followTraces>[0], kind: 'log' | 'simple', path: string, events: number) {
  const name = kind === 'log' ? 'vm.log' : 'trace-vm';
  const followed = followTraces(t, kind === 'log' ? { log: '*.log' } : { simple: 'trace-*' });
  writeFileSync(join(followed.folder, name), readFixture(path));
  const { eventfds } = await followed.until(events);
  const sums: Record<string, number> = {};
  const own = eventfds.filter(({ seenBy }) => seenBy === 'qemu');
  for (const { kind: what, count } of own) sums[what] = (sums[what] ?? 0) + count;
  return { sums, devices: [...new Set(own.map(({ device }) => device))].sort() };
}

/**
 * Signals of recordings. 200 reads and one of the boot sector are 201 kicks; QEMU itself adds one when the IOThread
 * takes over (expected.json: virtio_queue_notify).
 */
const SIGNALS = [
  ['virtio/kvm-seabios-ioeventfd', 4719, { ioeventfd: 202 }],
  ['virtio/kvm-seabios-no-ioeventfd', 4915, { kick: 201 }],
  // Under TCG, all 806 kicks came to a thread that is not known to run a vCPU; the IOThread sent 801 interrupts.
  ['virtio/tcg-linux-iothread', 7254, { ioeventfd: 806, irqfd: 801 }],
] as const;

for (const [path, events, expected] of SIGNALS)
  for (const [kind, file] of [
    ['log', 'log.txt'],
    ['simple', 'trace-simple'],
  ] as const)
    test(`${path}/${file}: kicks and interrupts by kind and device`, async (t) => {
      const { sums, devices } = await signals(t, kind, `${path}/${file}`, events);
      assert.deepEqual(sums, expected);
      assert.deepEqual(devices, ['', 'virtio-blk']);
    });
