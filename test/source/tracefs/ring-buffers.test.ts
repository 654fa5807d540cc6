/**
 * Ring buffers of several CPUs, in a tree of files that looks like tracefs, so that CPUs can be plugged and unplugged.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { RingBuffers } from '../../../src/source/tracefs/ring-buffers.js';
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
  const open = () => {
    const vocabulary = newVocabulary();
    const sink = new TimesSink(vocabulary);
    const decoder = new RecordDecoder({ formats, vocabulary, sink });
    const buffers = new RingBuffers(instance, PAGE_SIZE, decoder);
    t.after(() => buffers.close());
    return { buffers, delivered: sink.delivered };
  };
  return { plugIn, write, unplug, open, folderOf };
}

const drain = (buffers: RingBuffers, untilNs = ALL) => buffers.drain(untilNs, ALL, () => 0);

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
