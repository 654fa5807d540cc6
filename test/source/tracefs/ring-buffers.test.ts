/**
 * Ring buffers of several CPUs, in a tree of files that looks like tracefs, so that CPUs can be plugged and unplugged.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { RingBuffers } from '../../../src/source/tracefs/ring-buffers.js';
import type { OnForeignRead } from '../../../src/source/tracefs/trace-reader.js';
import { UNKNOWN_LOSS } from '../../../src/trace/sink.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { PageBuilder, payload } from '../../support/trace/page-builder.js';
import { readFormats } from '../../support/trace/recorded-formats.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

const PAGE_SIZE = 4096;
const TID = 42;
const ALL = Number.POSITIVE_INFINITY;

const formats = readFormats('exact/e2-mix');
const EXIT = formats.events.find(({ name }) => name === 'kvm_userspace_exit')?.id ?? 0;

class TimesSink extends CountingSink {
  readonly delivered: string[] = [];

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    super.tracepoint(timeNs, cpu, tid, name);
    this.delivered.push(`${timeNs} ${cpu}`);
  }
}

/** A page with events at these times. */
function page(...timesNs: number[]): Uint8Array {
  let lastNs = timesNs[0] ?? 0;
  const builder = new PageBuilder(BigInt(lastNs));
  for (const timeNs of timesNs) {
    builder.event(timeNs - lastNs, payload(EXIT, TID, [[8, 8, 2]]));
    lastNs = timeNs;
  }
  return builder.build();
}

function host(t: TestContext) {
  const instance = temporaryFolder(t, 'ring-buffers');
  const folderOf = (cpu: number) => join(instance, 'per_cpu', `cpu${cpu}`);
  const fileOf = (cpu: number) => join(folderOf(cpu), 'trace_pipe_raw');
  const plugIn = (cpu: number, ...pages: Uint8Array[]) => {
    mkdirSync(folderOf(cpu), { recursive: true });
    writeFileSync(fileOf(cpu), Buffer.concat(pages));
  };
  const write = (cpu: number, ...pages: Uint8Array[]) => appendFileSync(fileOf(cpu), Buffer.concat(pages));
  const unplug = (cpu: number) => rmSync(folderOf(cpu), { recursive: true });
  const open = (onForeignRead?: OnForeignRead) => {
    const vocabulary = newVocabulary();
    const sink = new TimesSink(vocabulary);
    const decoder = new RecordDecoder({ formats, vocabulary, sink });
    const buffers = new RingBuffers(instance, PAGE_SIZE, decoder, onForeignRead);
    t.after(() => buffers.close());
    return { buffers, delivered: sink.delivered, decoder };
  };
  /** Sets the kernel's counts of events that were read from the buffer, that wait in it, and that were overwritten. */
  const setRead = (cpu: number, events: number, waiting = 7, overrun = 0) =>
    writeFileSync(
      join(folderOf(cpu), 'stats'),
      `entries: ${waiting}\noverrun: ${overrun}\ndropped events: 0\nread events: ${events}\n`,
    );
  return { instance, plugIn, write, unplug, open, folderOf, setRead };
}

const drain = (buffers: RingBuffers, untilNs = ALL) => buffers.drain(untilNs, ALL, () => 0);
const drainQuietly = (buffers: RingBuffers) => buffers.drain(ALL, ALL, () => 0, true);

test('a CPU that is plugged in is read after openNewCpus', (t) => {
  const { plugIn, write, open } = host(t);
  plugIn(0, page(1000, 3000));
  const { buffers, delivered } = open();
  drain(buffers);
  plugIn(1, page(4000));
  write(0, page(5000));
  drain(buffers);
  assert.deepEqual(delivered.splice(0), ['1000 0', '3000 0', '5000 0']);
  buffers.openNewCpus();
  write(0, page(7000));
  write(1, page(6000));
  drain(buffers);
  assert.deepEqual(delivered, ['4000 1', '6000 1', '7000 0']);
});

test('all events of a CPU that is unplugged are read, and those of the remaining CPUs', (t) => {
  const { plugIn, write, unplug, open } = host(t);
  plugIn(0, page(1000));
  plugIn(1, page(2000));
  const { buffers, delivered } = open();
  drain(buffers);
  write(1, page(3000), page(4000));
  unplug(1);
  buffers.openNewCpus();
  write(0, page(5000));
  drain(buffers);
  assert.deepEqual(delivered, ['1000 0', '2000 1', '3000 1', '4000 1', '5000 0']);
});

test('events newer than the limit wait for the next drain, which merges them with those of other CPUs', (t) => {
  const { plugIn, write, open } = host(t);
  plugIn(0, page(1000, 5000));
  plugIn(1);
  const { buffers, delivered } = open();
  drain(buffers, 3000);
  assert.deepEqual(delivered, ['1000 0']);
  write(1, page(4000));
  drain(buffers, 9000);
  assert.deepEqual(delivered, ['1000 0', '4000 1', '5000 0']);
});

test('a drain whose time is up reports it, and the next drain continues', (t) => {
  const { plugIn, open } = host(t);
  const pages = Array.from({ length: 200 }, (_, index) =>
    page(...Array.from({ length: 100 }, (_, event) => 1000 * (100 * index + event + 1))),
  );
  plugIn(0, ...pages);
  const { buffers, delivered } = open();
  const first = buffers.drain(ALL, 1, () => 2);
  assert.equal(first.behind, true);
  assert.ok(delivered.length > 0 && delivered.length < 20_000, `${delivered.length} events`);
  const { behind, mostBytes } = drain(buffers);
  assert.equal(behind, false);
  assert.equal(first.mostBytes + mostBytes, 200 * PAGE_SIZE);
  assert.deepEqual(
    delivered,
    Array.from({ length: 20_000 }, (_, event) => `${1000 * (event + 1)} 0`),
  );
});

test('if the buffer of a CPU cannot be opened, those of the other CPUs are closed again', (t) => {
  const { plugIn, open, folderOf } = host(t);
  for (const cpu of [0, 1, 2]) plugIn(cpu);
  mkdirSync(folderOf(3));
  const openFiles = () => readdirSync('/proc/self/fd').length;
  const before = openFiles();
  assert.throws(open, { name: 'AgentError', message: /cpu3\/trace_pipe_raw: no such file$/ });
  assert.equal(openFiles(), before);
});

test('events that another program read, or threw away, are reported before the next event', (t) => {
  const { plugIn, write, open, setRead } = host(t);
  plugIn(0);
  plugIn(1);
  setRead(0, 0);
  setRead(1, 0);
  const order: string[] = [];
  const { buffers, delivered } = open((events) => order.push(...delivered.splice(0), `foreign ${events}`));
  const drained = () => {
    drain(buffers);
    order.push(...delivered.splice(0));
    return order.splice(0);
  };
  write(0, page(1000, 2000), page(3000));
  assert.deepEqual(drained(), ['1000 0', '2000 0', '3000 0']);
  setRead(0, 3);
  write(1, page(4000));
  assert.deepEqual(drained(), ['4000 1']);
  setRead(0, 8); // another program read 5 events of CPU 0
  setRead(1, 1);
  write(0, page(5000));
  assert.deepEqual(drained(), ['foreign 5', '5000 0']);
  setRead(0, 9);
  assert.deepEqual(drained(), []);
  setRead(1, 0); // the buffer of CPU 1 was emptied
  write(0, page(6000));
  assert.deepEqual(drained(), [`foreign ${UNKNOWN_LOSS}`, '6000 0']);
  setRead(0, 10);
  write(1, page(7000));
  assert.deepEqual(drained(), ['7000 1']);
  setRead(1, 1);
  assert.deepEqual(drained(), []);
});

test('a buffer that is swapped for a snapshot and back is a gap each time', (t) => {
  const { plugIn, write, open, setRead } = host(t);
  plugIn(0);
  setRead(0, 0);
  const foreign: number[] = [];
  const { buffers } = open((events) => foreign.push(events));
  write(0, page(1000, 2000, 3000));
  drain(buffers);
  setRead(0, 0); // swapped
  write(0, page(4000));
  drain(buffers);
  setRead(0, 3); // swapped back
  write(0, page(5000));
  drain(buffers);
  assert.deepEqual(foreign, [UNKNOWN_LOSS, UNKNOWN_LOSS]);
  setRead(0, 4);
  drain(buffers);
  setRead(0, 6); // another program read 2 events
  drain(buffers);
  assert.deepEqual(foreign, [UNKNOWN_LOSS, UNKNOWN_LOSS, 2]);
});

test('a page that contradicts itself is not taken for events that another program read', (t) => {
  const { plugIn, open, setRead } = host(t);
  const broken = new PageBuilder(1000n).event(0, payload(EXIT, TID, [[8, 8, 2]])).build({ commit: 4090 });
  plugIn(0, broken);
  setRead(0, 0);
  const foreign: number[] = [];
  const { buffers } = open((events) => foreign.push(events));
  drain(buffers);
  setRead(0, 40);
  drain(buffers);
  assert.deepEqual(foreign, []);
});

test('a buffer is read when its statistics show events, or cannot be read', (t) => {
  const { plugIn, write, open, setRead } = host(t);
  for (const cpu of [0, 1, 2]) plugIn(cpu);
  setRead(0, 0, 0);
  setRead(1, 0, 0);
  const { buffers, delivered } = open(() => {});
  // The fake buffers hold events whatever their statistics say: what is delivered shows which ones were read.
  write(0, page(1000));
  write(1, page(2000));
  write(2, page(3000)); // no statistics
  drain(buffers);
  assert.deepEqual(delivered.splice(0), ['3000 2']);
  setRead(1, 0, 1);
  drain(buffers);
  assert.deepEqual(delivered.splice(0), ['2000 1']);
  setRead(0, 0, 1);
  setRead(1, 1, 0);
  drain(buffers);
  assert.deepEqual(delivered.splice(0), ['1000 0']);
});

test('events that the kernel overwrote are those of the statistics at that moment', (t) => {
  const { plugIn, open, setRead } = host(t);
  for (const cpu of [0, 1, 2]) plugIn(cpu);
  setRead(0, 0);
  setRead(2, 0);
  const { buffers } = open(() => {});
  setRead(0, 0, 0, 5);
  assert.deepEqual(
    [...buffers.overruns()],
    [
      [0, 5],
      [2, 0],
    ],
  );
});

test('while nothing happens, a drain looks at a few of many CPUs, and eight drains look at all', (t) => {
  const { plugIn, open, setRead } = host(t);
  const cpus = Array.from({ length: 64 }, (_, cpu) => cpu);
  for (const cpu of cpus) plugIn(cpu);
  for (const cpu of cpus) setRead(cpu, 0, 0);
  let looks = 0;
  const { buffers } = open(() => looks++);
  drainQuietly(buffers); // The first drain looks at all CPUs.
  for (let round = 1; round <= 2; round++) {
    // Another program reads an event of each buffer, so each look is reported.
    for (const cpu of cpus) setRead(cpu, round, 0);
    const looksOfDrains = cpus.slice(0, 8).map(() => {
      looks = 0;
      drainQuietly(buffers);
      return looks;
    });
    assert.deepEqual(looksOfDrains, [8, 8, 8, 8, 8, 8, 8, 8]);
  }
});

test('once a look finds an event, all CPUs are read, in the order of time', (t) => {
  const { plugIn, write, open, setRead } = host(t);
  const cpus = Array.from({ length: 64 }, (_, cpu) => cpu);
  for (const cpu of cpus) plugIn(cpu);
  for (const cpu of cpus) setRead(cpu, 0, 0);
  const { buffers, delivered } = open(() => {});
  drainQuietly(buffers);
  write(60, page(1000));
  write(20, page(2000));
  for (const cpu of [20, 60]) setRead(cpu, 0, 1);
  let drains = 0;
  for (; delivered.length === 0 && drains < 100; drains++) drainQuietly(buffers);
  assert.ok(drains <= 8, `${drains} drains`);
  assert.deepEqual(delivered.splice(0), ['1000 60', '2000 20']);
  // The host is no longer quiet: the next drain looks at all.
  for (const cpu of [20, 60]) setRead(cpu, 1, 0);
  write(50, page(3000));
  setRead(50, 0, 1);
  drainQuietly(buffers);
  assert.deepEqual(delivered.splice(0), ['3000 50']);
  // Where VMs run, each drain looks at all.
  setRead(50, 1, 0);
  drain(buffers);
  write(63, page(4000));
  setRead(63, 0, 1);
  drain(buffers);
  assert.deepEqual(delivered, ['4000 63']);
});

test('a buffer that was empty is not asked again what it lost', (t) => {
  const { plugIn, open, setRead } = host(t);
  for (const cpu of [0, 1]) plugIn(cpu);
  setRead(0, 0, 0, 3);
  setRead(1, 0, 1, 4);
  const { buffers } = open(() => {});
  for (const cpu of [0, 1]) setRead(cpu, 0, 1, 9);
  assert.deepEqual([...buffers.overruns().values()], [3, 9]);
  drain(buffers);
  assert.deepEqual([...buffers.overruns().values()], [9, 9]);
});

test('events of two instances are merged by time, and what they lost is added up by CPU', (t) => {
  const [first, second] = [host(t), host(t)];
  for (const { plugIn, setRead } of [first, second]) {
    plugIn(0);
    setRead(0, 0, 1, 2);
  }
  const { buffers, delivered, decoder } = first.open(() => {});
  buffers.add(second.instance, PAGE_SIZE, decoder);
  first.write(0, page(1000, 4000));
  second.write(0, page(2000, 3000, 5000));
  drain(buffers);
  assert.deepEqual(delivered, ['1000 0', '2000 0', '3000 0', '4000 0', '5000 0']);
  assert.deepEqual([...buffers.overruns()], [[0, 4]]);
});
