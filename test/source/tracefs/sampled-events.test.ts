/** Tracepoints that are on in windows only: the switch blocks nothing, and is not taken for another program's. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setImmediate as endOfTurn, setTimeout as sleep } from 'node:timers/promises';
import { type Disturbance, KernelTrace } from '../../../src/source/tracefs/kernel-trace.js';
import { NoOpSink } from '../../../src/trace/sink.js';
import { TRACEFS, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { needs } from '../../support/requirements.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

afterEach(endAll);

const ALWAYS = 'kvm:kvm_userspace_exit';
const SAMPLED = ['kvm:kvm_exit', 'kvm:kvm_entry', 'kvm:kvm_pio'];

function startTrace() {
  const disturbances: Disturbance[] = [];
  const now = () => performance.now();
  const drain = () => trace.drain(Number.POSITIVE_INFINITY, now);
  const trace = new KernelTrace({
    tracefs: TRACEFS,
    instance: uniqueInstance(),
    bufferSize: 1 << 20,
    events: [ALWAYS, ...SAMPLED],
    isSampled: (event) => event !== ALWAYS,
    reader: 'binary',
    vocabulary: newVocabulary(),
    sink: new NoOpSink(),
    onWrite: drain,
    onDisturbance: (disturbance) => disturbances.push(disturbance),
  });
  let isClosed = false;
  const close = () => {
    if (!isClosed) trace.close();
    isClosed = true;
  };
  endLater(async () => close());
  const pathOf = (event: string) => join(trace.instance.path, 'events', event.replace(':', '/'), 'enable');
  const isOn = (event: string) => readFileSync(pathOf(event), 'utf8').trim() === '1';
  return { trace, disturbances, drain, close, pathOf, isOn };
}

/** Drains while the kernel switches, as the agent does. Returns the number of turns of the event loop meanwhile. */
async function switchTo({ trace, drain }: ReturnType<typeof startTrace>, on: boolean): Promise<number> {
  let isDone = false;
  let turns = 0;
  const done = trace.sample(on).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await endOfTurn();
    drain();
    turns++;
  }
  assert.equal(await done, true);
  return turns;
}

test(
  'sampled tracepoints are off, on in a window, and off again; all other tracepoints stay on',
  needs('root', 'tracefs', 'kvm-events'),
  async () => {
    const started = startTrace();
    const states = () => SAMPLED.map(started.isOn);
    assert.deepEqual([started.isOn(ALWAYS), ...states()], [true, false, false, false]);
    for (let window = 0; window < 3; window++) {
      // In one blocking call there would be no turn at all.
      assert.ok((await switchTo(started, true)) > 1);
      assert.deepEqual([started.isOn(ALWAYS), ...states()], [true, true, true, true]);
      await switchTo(started, false);
      assert.deepEqual([started.isOn(ALWAYS), ...states()], [true, false, false, false]);
    }
    // The guard looks at the files each two seconds.
    await sleep(2100);
    started.drain();
    await endOfTurn();
    assert.deepEqual(started.disturbances, []);
  },
);

for (const on of [true, false])
  test(
    `another program's switch is set back ${on ? 'in' : 'after'} a window`,
    needs('root', 'tracefs', 'kvm-events'),
    async () => {
      const started = startTrace();
      const [event = ''] = SAMPLED;
      await switchTo(started, true);
      if (!on) await switchTo(started, false);
      writeFileSync(started.pathOf(event), on ? '0' : '1');
      for (let turn = 0; turn < 1000 && started.disturbances.length === 0; turn++) {
        await sleep(5);
        started.drain();
      }
      const file = 'events/kvm/kvm_exit/enable';
      assert.deepEqual(started.disturbances, [{ kind: 'written', file }]);
      assert.equal(started.isOn(event), on);
      assert.equal(started.trace.works, true);
    },
  );

test("another program's write during a switch is found after it", needs('root', 'tracefs', 'kvm-events'), async () => {
  const started = startTrace();
  const switched = started.trace.sample(true);
  writeFileSync(join(started.trace.instance.path, 'events/kvm/kvm_userspace_exit/filter'), 'reason == 3');
  await switched;
  for (let turn = 0; turn < 1000 && started.disturbances.length === 0; turn++) {
    await sleep(5);
    started.drain();
  }
  assert.deepEqual(started.disturbances, [{ kind: 'written', file: 'events/kvm/kvm_userspace_exit/filter' }]);
});

test(
  'a trace that is closed during a switch leaves no instance behind',
  needs('root', 'tracefs', 'kvm-events'),
  async () => {
    const { trace, close } = startTrace();
    const switched = trace.sample(true);
    close();
    await switched;
    assert.throws(() => readFileSync(join(trace.instance.path, 'tracing_on')), { code: 'ENOENT' });
  },
);
