/** A VM in focus is counted exactly and at once, beside a sampled one; and the host is left as it was. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { runAgentToEnd, startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { lastCpu } from '../support/guest/last-cpu.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Step } from '../support/guest/steps.js';
import type { Samples } from '../support/prometheus/samples.js';

afterEach(endAll);

const BURST = 20;
const STEPS: readonly Step[] = [
  { waitForHost: true },
  { bursts: { out: 0x80, times: BURST, everyMs: 10, ticks: 800 } },
  { halt: true },
];
const HALT: readonly Step[] = [{ halt: true }];
/** Several periods on a busy machine. */
const WITHIN_MS = 120_000;

const isFocused = (samples: Samples, vm: string) => samples.sum('kvm_vm_focused', { vm }) === 1;
/** Accesses that KVM traced, of which sampling sees those in windows. */
const accesses = (samples: Samples, vm: string) =>
  samples.sum('kvm_io_exits_total', { vm, layer: 'qemu', address: '0x80' });

test('a VM in focus is counted exactly beside a sampled one', liveTest(), async () => {
  const agent = await startAgent({ args: ['--sampling=1s/4s', '--focus=focused*'] });
  const guests = ['focused-1', 'sampled-1'].map((name) => startGuest({ name, steps: STEPS }));
  await agent.scrapeUntil('the focus', (samples) => isFocused(samples, 'focused-1'), WITHIN_MS);
  for (const guest of guests) guest.goOn();
  const [focused, sampled] = guests.map(({ writesDone }) => writesDone) as [() => number, () => number];
  const wanted = 800 * BURST;
  let shown = 0;
  const samples = await agent.scrapeUntil(
    'all accesses, over several windows',
    (now) => {
      const count = accesses(now, 'focused-1');
      // Counted at once: never more than the guest has done by now. It counts a write after its exit.
      const done = focused();
      assert.ok(count >= shown && count <= done + 1, `${count} accesses of ${done}, after ${shown}`);
      shown = count;
      return count === wanted && sampled() === wanted;
    },
    WITHIN_MS,
  );
  assert.equal(isFocused(samples, 'sampled-1'), false);
  const fraction = samples.sum('kvm_exit_exporter_sampled_fraction', {});
  assert.ok(fraction > 0 && fraction < 0.9, `a fraction of ${fraction}`);
  // Nothing more is added when periods end.
  await agent.scrapeUntil(
    'estimates of the sampled VM',
    (now) => {
      assert.equal(accesses(now, 'focused-1'), wanted);
      return accesses(now, 'sampled-1') === wanted;
    },
    WITHIN_MS,
  );
  assert.ok(!agent.log().includes('another program'), agent.log());
  for (const guest of guests) await guest.kill();
  await agent.stop();
  assert.ok(!existsSync(`${TRACEFS}/instances/${agent.instance}-focus`));
});

test(
  'a VM that starts later, and threads of one that stopped: the kernel lists those that run',
  liveTest(),
  async () => {
    const agent = await startAgent({ args: ['--sampling=1s/3s', '--focus=later-*'] });
    const listed = () =>
      readFileSync(`${TRACEFS}/instances/${agent.instance}-focus/set_event_pid`, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map(Number);
    const halted = { vcpus: 2, steps: HALT, secondarySteps: HALT };
    const guests = ['later-1', 'later-2'].map((name) => startGuest({ name, ...halted }));
    await agent.scrapeUntil('four threads', () => listed().length === 4, WITHIN_MS);
    await guests[0]?.kill();
    const samples = await agent.scrapeUntil('two threads', () => listed().length === 2, WITHIN_MS);
    assert.equal(isFocused(samples, 'later-2'), true);
    await agent.scrapeUntil('the end of the focus', (now) => !isFocused(now, 'later-1'), WITHIN_MS);
    await guests[1]?.kill();
    await agent.scrapeUntil('no thread', () => listed().length === 0, WITHIN_MS);
    await agent.stop();
  },
);

test('of two VMs with a warning, one is in focus at a time, until it stops', liveTest(), async () => {
  const agent = await startAgent({ args: ['--sampling=1s/3s', '--focus.auto=1', '--advice.lasting=5s'] });
  // They wait for each other's CPU, which is a warning.
  const guests = ['warned-1', 'warned-2'].map((name) =>
    startGuest({ name, steps: [{ spin: true }], prefix: ['taskset', '-c', lastCpu()] }),
  );
  const focused = (samples: Samples) => {
    const vms = samples.of('kvm_vm_focused').map(({ labels }) => labels.get('vm'));
    assert.ok(vms.length <= 1, `${vms}`);
    return guests.find(({ name }) => vms.includes(name));
  };
  const first = focused(await agent.scrapeUntil('a VM in focus', (now) => focused(now) !== undefined, WITHIN_MS));
  await first?.kill();
  const ended = (samples: Samples) => focused(samples) !== first;
  await agent.scrapeUntil('the end of the focus', ended, WITHIN_MS);
  for (const guest of guests) await guest.kill();
  await agent.stop();
});

test('the focus needs sampling, and a reader that can merge', async () => {
  for (const [args, reason] of [
    [
      ['--focus=web-*'],
      '--focus: without --sampling, all events of all VMs are counted; leave it out, or give --sampling=2s/60s',
    ],
    [
      ['--focus.auto=2'],
      '--focus.auto: without --sampling, all events of all VMs are counted; leave it out, or give --sampling=2s/60s',
    ],
    [
      ['--focus=web-*', '--sampling=2s/60s', '--tracefs.reader=text'],
      '--focus: --tracefs.reader=text reads one instance only; leave one of the two out',
    ],
  ] as const) {
    const { code, stderr } = await runAgentToEnd(args);
    assert.equal(code, 2);
    assert.equal(stderr, `kvm-exit-exporter: ${reason}\n`);
  }
});
