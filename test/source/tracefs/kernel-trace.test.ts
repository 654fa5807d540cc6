/**
 * What another program writes while the agent sets its tracing instance back is named in the log as well, and is within
 * a gap. Each write of this file is made at that moment, from within a call of the agent's; it stands for a write of
 * another program, from which the kernel's notification does not differ.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelTrace } from '../../../src/source/tracefs/kernel-trace.js';
import { UNKNOWN_LOSS } from '../../../src/trace/sink.js';
import { TRACEFS, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { needs } from '../../support/requirements.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

afterEach(endAll);

const EVENT = 'kvm:kvm_userspace_exit';
const FILTER = 'events/kvm/kvm_userspace_exit/filter';

class GapSink extends CountingSink {
  onGap = () => {};
  /** Called after the drain that follows a write. */
  onSetBack = () => {};
  /** Gaps that have begun, and those that have ended. */
  begun = 0;
  ended = 0;

  override gapAhead(): void {
    this.begun++;
    this.onGap();
  }

  override lost(_cpu: number, count: number): void {
    if (count === UNKNOWN_LOSS) this.ended++;
  }
}

/** A trace that is drained as the agent does: after a write, and from time to time. */
function startTrace() {
  const vocabulary = newVocabulary();
  const sink = new GapSink(vocabulary);
  const named: string[] = [];
  const drain = () => trace.drain(Number.POSITIVE_INFINITY, () => performance.now());
  const trace = new KernelTrace({
    tracefs: TRACEFS,
    instance: uniqueInstance(),
    bufferSize: 1 << 20,
    events: [EVENT],
    reader: 'binary',
    vocabulary,
    sink,
    onWrite: () => {
      drain();
      sink.onSetBack();
    },
    onDisturbance: (disturbance) => {
      if (disturbance.kind === 'written') named.push(disturbance.file);
    },
  });
  const timer = setInterval(drain, 20);
  endLater(async () => {
    clearInterval(timer);
    trace.close();
  });
  const pathOf = (file: string) => join(trace.instance.path, file);
  return {
    trace,
    sink,
    named,
    write: (file: string, value: string) => writeFileSync(pathOf(file), value, { flag: value === '' ? 'w' : 'r+' }),
    read: (file: string) => readFileSync(pathOf(file), 'utf8').trim(),
  };
}

type Trace = ReturnType<typeof startTrace>;

/** Switches tracing off, and has `then` run between the agent's noticing that and its setting it back. */
function disturb({ sink, write }: Trace, then: () => void): void {
  sink.onGap = () => {
    sink.onGap = () => {};
    then();
  };
  write('tracing_on', '0');
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + 60_000; !isSo(); await sleep(10))
    if (performance.now() > deadlineMs) assert.fail(`not within 60 s: ${what}`);
}

/** Waits until no gap is open for a quarter of a second, in which the agent drains a dozen times. */
async function settle({ sink }: Trace): Promise<void> {
  await until('a gap', () => sink.begun > 0);
  for (let ended = -1; ended !== sink.ended || sink.begun !== sink.ended; await sleep(250)) ended = sink.ended;
}

const live = needs('root', 'tracefs', 'kvm-events');

test('settings that are changed while another is set back are named, and set back', live, async () => {
  const trace = startTrace();
  const before = ['buffer_size_kb', 'trace_clock'].map(trace.read);
  disturb(trace, () => {
    trace.write('buffer_size_kb', '256');
    trace.write('trace_clock', 'counter');
    trace.write('set_event_pid', '1');
    trace.write('events/kvm/filter', 'common_pid == 4194305');
  });
  await settle(trace);
  for (const file of ['tracing_on', 'buffer_size_kb', 'trace_clock', 'set_event_pid', FILTER, 'events/kvm/filter'])
    assert.ok(trace.named.includes(file), `${file} is not among ${trace.named.join(', ')}`);
  assert.deepEqual(['buffer_size_kb', 'trace_clock'].map(trace.read), before);
  assert.deepEqual(['tracing_on', 'set_event_pid', FILTER].map(trace.read), ['1', '', 'none']);
});

test('a filter that is set and removed while another setting is set back is named', live, async () => {
  const trace = startTrace();
  disturb(trace, () => {
    trace.write(FILTER, 'reason == 0');
    trace.write(FILTER, '0');
  });
  await settle(trace);
  assert.deepEqual(new Set(trace.named), new Set(['tracing_on', FILTER]));
});

test('buffers that are emptied while a setting is set back are named', live, async () => {
  const trace = startTrace();
  disturb(trace, () => trace.write('trace', ''));
  await settle(trace);
  assert.deepEqual(new Set(trace.named), new Set(['tracing_on', 'trace']));
});

test('a setting that is changed again as soon as it was set back is set back again', live, async () => {
  const trace = startTrace();
  let times = 0;
  trace.sink.onSetBack = () => {
    if (trace.read('tracing_on') === '1' && ++times <= 20) trace.write('tracing_on', '0');
  };
  trace.write('tracing_on', '0');
  await settle(trace);
  assert.deepEqual(new Set(trace.named), new Set(['tracing_on']));
  assert.ok(times > 20, `set back ${times} times`);
  assert.equal(trace.read('tracing_on'), '1');
  assert.ok(trace.trace.works);
});

test("the agent's own writes are no gap", live, async () => {
  const trace = startTrace();
  trace.write('tracing_on', '0');
  await settle(trace);
  assert.deepEqual(trace.named, ['tracing_on']);
  assert.deepEqual([trace.sink.begun, trace.sink.ended], [1, 1]);
});
