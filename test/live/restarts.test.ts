/** A VM that is restarted under its name loses nothing and mixes nothing. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, PORT_WRITES, runKnownGuest, writesInAll } from '../support/guest/agent-checks.js';
import { liveTest, numberFromEnvironment } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

afterEach(endAll);

/** A busy machine takes many times as long for the same exits, and the counts must be the same. */
const patient = () => ({ ...liveTest(), timeout: 900_000 });

/** Exits of a guest in excess of its port writes: the one that ends it. */
const END = 1;

/** Runs a guest to its end, most of it at full speed once the agent knows it. */
const run = (agent: RunningAgent, name: string, times: number, isKnown?: (samples: Samples) => boolean) =>
  runKnownGuest(agent, { name, steps: writesInAll(times) }, isKnown);

const pids = (samples: Samples, vm: string) => samples.of('kvm_vm_info', { vm }).map(({ labels }) => labels.get('pid'));
const starts = (samples: Samples, vm: string) =>
  samples.of('kvm_vm_start_time_seconds', { vm }).map(({ value }) => value);

/** Asserts that the counter has exactly this value, and goes on having it once nothing is in the buffers any more. */
async function assertExits(agent: RunningAgent, vm: string, expected: number): Promise<void> {
  await agent.scrapeUntil(`${vm}: ${expected}`, (samples) => ioExits(samples, vm) >= expected, 60_000);
  await sleep(1000);
  const samples = await agent.scrape();
  assert.equal(ioExits(samples, vm), expected, agent.log());
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_unattributed_events_total'), 0);
}

test('three quick runs of a guest of 100,001 exits make 300,003', patient(), async () => {
  const agent = await startAgent();
  const shown: number[] = [];
  let isRunning = true;
  // One after the other: of two scrapes at a time, either may be answered first.
  const scrapes = (async () => {
    for (; isRunning; await sleep(100)) shown.push(ioExits(await agent.scrape(), 'thrice'));
  })();
  for (let life = 0; life < 3; life++) await run(agent, 'thrice', 100_000);
  isRunning = false;
  await scrapes;
  await assertExits(agent, 'thrice', 3 * (100_000 + END));
  assert.deepEqual(
    shown,
    shown.toSorted((a, b) => a - b),
    'the counter never falls',
  );
  await agent.stop();
});

test('three quick runs make 300,003 for an agent that runs a tenth of the time', patient(), async () => {
  const agent = await startAgent({ args: ['--tracefs.buffer-size=64MiB'] });
  let isStarved = true;
  const starved = (async () => {
    for (; isStarved; await sleep(50)) {
      agent.process.kill('SIGSTOP');
      await sleep(450);
      agent.process.kill('SIGCONT');
    }
  })();
  for (let life = 0; life < 3; life++) await run(agent, 'starved', 100_000);
  isStarved = false;
  await starved;
  await assertExits(agent, 'starved', 3 * (100_000 + END));
  await agent.stop();
});

test('restarts at random moments lose nothing, and the start time tells the lives apart', patient(), async () => {
  const lives = numberFromEnvironment('RESTARTS', 20);
  const times = numberFromEnvironment('RESTARTS_WRITES', PORT_WRITES);
  const agent = await startAgent();
  const seen = new Set<string | undefined>();
  for (let life = 0; life < lives; life++) {
    await run(agent, 'again', times);
    const samples = await agent.scrape();
    assert.equal(pids(samples, 'again').length, 1, agent.log());
    seen.add(`${pids(samples, 'again')[0]} ${starts(samples, 'again')[0]}`);
    await sleep(Math.random() * 600);
  }
  await assertExits(agent, 'again', lives * (times + END));
  assert.equal(seen.size, lives);
  const [start = 0] = starts(await agent.scrape(), 'again');
  assert.ok(Math.abs(start - Date.now() / 1000) < 60, `${start} is not the time of its start`);
  await agent.stop();
});

test('two VMs of one name at a time are two series, and restarts of each lose nothing', patient(), async () => {
  const agent = await startAgent();
  const guest = startGuest({ name: 'twin', steps: [{ forever: { out: 0x80 } }] });
  await agent.scrapeUntil('the first twin runs', (samples) => ioExits(samples, 'twin') > 0);
  const exitsOfRivals = (samples: Samples) => {
    const labels = new Set(samples.of('kvm_exits_total').map((sample) => sample.labels.get('vm') ?? ''));
    return [...labels].filter((vm) => vm.startsWith('twin (')).reduce((sum, vm) => sum + ioExits(samples, vm), 0);
  };
  for (let life = 1; life <= 3; life++) {
    const before = exitsOfRivals(await agent.scrape());
    await run(agent, 'twin', PORT_WRITES, (samples) => exitsOfRivals(samples) > before);
  }
  const expected = 3 * (PORT_WRITES + END);
  await agent.scrapeUntil('the exits of the rivals', (samples) => exitsOfRivals(samples) >= expected);
  await sleep(1000);
  assert.equal(exitsOfRivals(await agent.scrape()), expected);
  await guest.kill();
  const writes = guest.writesDone();
  await agent.scrapeUntil('the exits of the first twin', (samples) => ioExits(samples, 'twin') >= writes);
  await sleep(1000);
  const counted = ioExits(await agent.scrape(), 'twin');
  // The write that was under way when the guest was killed has left it, and may not have been counted by the guest.
  assert.ok(counted - writes === 0 || counted - writes === 1, `${counted} counted, ${writes} done`);
  await agent.stop();
});

test('a VM that comes back after its grace period starts at 0', patient(), async () => {
  const agent = await startAgent({ args: ['--vm.grace-period=10s'] });
  await run(agent, 'late', PORT_WRITES);
  await assertExits(agent, 'late', PORT_WRITES + END);
  await agent.scrapeUntil('forgotten', (samples) => pids(samples, 'late').length === 0, 30_000);
  await run(agent, 'late', PORT_WRITES);
  await assertExits(agent, 'late', PORT_WRITES + END);
  await agent.stop();
});
