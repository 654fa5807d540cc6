/**
 * Clocks that step. The wall clock of this host is not changed, because other programs depend on it: only the tested
 * program gets another `Date`, and a time namespace gives it another CLOCK_MONOTONIC than the kernel's.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { assertCountsExactly, ioExits, PORT_WRITES, waitForLog } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { metricOf, startReceiver } from '../../support/prometheus/otlp-receiver.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

/**
 * Offsets in seconds. The clock of a namespace cannot be below 0, so the negative offset depends on the uptime of the
 * host.
 */
const OFFSETS = [
  ['behind', -Math.floor(uptime() / 2)],
  ['a day ahead', 86_400],
] as const;

for (const [what, seconds] of OFFSETS)
  test(
    `in a time namespace whose monotonic clock is ${what}, every event is counted without delay`,
    liveTest('unshare'),
    async () => {
      const agent = await startAgent({ prefix: ['unshare', '--time', `--monotonic=${seconds}`] });
      const offsets = readFileSync(`/proc/${agent.process.pid}/timens_offsets`, 'utf8');
      assert.match(offsets, new RegExp(`^monotonic +${seconds} `, 'm'));
      await assertCountsExactly(agent, 'other-clock');
      await agent.stop();
    },
  );

const CLOCK_SOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

test(
  'when the kernel marks the TSC unstable, the agent switches to the clock mono and continues to count',
  liveTest('unshare'),
  async (t) => {
    const file = join(temporaryFolder(t, 'clock-source'), 'current_clocksource');
    writeFileSync(file, 'tsc\n');
    // The file is replaced in a mount namespace, where no other program sees it.
    const script = `mount --bind ${file} ${CLOCK_SOURCE} && exec "$@"`;
    const agent = await startAgent({ prefix: ['unshare', '--mount', 'sh', '-c', script, 'sh'] });
    const clock = () => readFileSync(join(TRACEFS, 'instances', agent.instance, 'trace_clock'), 'utf8');
    assert.match(clock(), /\[local\]/);
    await assertCountsExactly(agent, 'before-mono');
    writeFileSync(file, 'hpet\n');
    await waitForLog(agent, /level=warn msg=waiting err=.*clock.*[\s\S]*msg="reading kernel trace"/);
    assert.match(clock(), /\[mono\]/);
    await assertCountsExactly(agent, 'after-mono');
    assert.equal(ioExits(await agent.scrape(), 'before-mono'), PORT_WRITES + 1);
    await agent.stop();
  },
);

/** Replaces `Date`: each second the wall clock jumps forwards or backwards, by an hour more than the last time. */
const STEPPING = `
  const RealDate = Date;
  const step = () => {
    const seconds = Math.floor(performance.now() / 1000);
    return 3600e3 * (seconds % 2 === 0 ? seconds : -seconds);
  };
  globalThis.Date = class extends RealDate {
    constructor(...given) { given.length === 0 ? super(RealDate.now() + step()) : super(...given); }
    static now() { return RealDate.now() + step(); }
  };`;

test(
  'a wall clock that steps by hours each second changes neither counts nor the times of vCPUs',
  liveTest(),
  async () => {
    const receiver = await startReceiver();
    const preload = `data:text/javascript,${encodeURIComponent(STEPPING)}`;
    const agent = await startAgent({
      prefix: ['env', `NODE_OPTIONS=--import=${preload}`],
      args: [`--otlp.endpoint=http://127.0.0.1:${receiver.port}`, '--otlp.interval=1s'],
    });
    const startMs = performance.now();
    const guest = startGuest({ name: 'stepping', steps: [{ forever: { out: 0x80 } }] });
    // The agent logs a line as each of these guests starts, some of them between two steps.
    for (let round = 0; round < 4; round++) {
      await assertCountsExactly(agent, `between-steps-${round}`);
      await sleep(1000);
    }
    await receiver.atLeast(4);
    await guest.kill();
    const samples = await agent.scrape();
    const seconds = (performance.now() - startMs) / 1000;
    const spent = samples.sum('kvm_vcpu_seconds_total', { vm: 'stepping' });
    assert.ok(spent > 0 && spent < seconds, `${spent} s within ${seconds} s`);
    // The times of log lines prove that the clock did step.
    const times = [...agent.log().matchAll(/^time=(\S+)/gm)].map(([, time = '']) => Date.parse(time));
    assert.ok(times.some((time, line) => Math.abs(time - (times[line - 1] ?? time)) > 3600e3));
    for (const request of receiver.requests)
      for (const { startNs, timeNs } of metricOf(request, 'kvm.exits')?.points ?? [])
        assert.ok(startNs <= timeNs, `a sum that starts at ${startNs} has the time ${timeNs}`);
    await assertCountsExactly(agent, 'after-steps');
    await agent.stop();
  },
);
