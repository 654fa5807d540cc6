/**
 * A CPU goes offline and comes back. That changes the whole machine for a moment, so this runs on request only:
 *
 *   FAULTS_UNPLUG_CPU=1 node --test build/test/live/faults/cpu.test.js
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { ringBufferStats, scrapeAllEvents } from '../../support/guest/ring-buffers.js';
import { startGuest } from '../../support/guest/start-guest.js';

const CPU = Number(process.env.FAULTS_UNPLUG_CPU ?? Number.NaN);
const ONLINE = `/sys/devices/system/cpu/cpu${CPU}/online`;

afterEach(endAll);

function options() {
  const { skip, timeout } = liveTest();
  if (Number.isNaN(CPU)) return { skip: 'takes a CPU offline; set FAULTS_UNPLUG_CPU=1 to do that with CPU 1', timeout };
  if (!existsSync(ONLINE)) return { skip: `no ${ONLINE}`, timeout };
  return { skip: skip || pinnedProcess(), timeout };
}

/**
 * Reason to skip the test if a process may run on some CPUs only. When the last of its CPUs goes offline, the kernel
 * lets it run anywhere, and does not undo that.
 */
function pinnedProcess(): string | false {
  const all = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
    const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
    const isKernelThread = !/^VmSize:/m.test(status);
    if (allowed !== undefined && allowed !== all && !isKernelThread)
      return `process ${pid} is pinned to CPUs ${allowed}`;
  }
  return false;
}

test('a CPU goes offline and comes back while guests run: every event of it is counted', options(), async () => {
  const agent = await startAgent();
  const guests = ['unplug-a', 'unplug-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  for (const { name } of guests) await agent.scrapeUntil(name, (samples) => ioExits(samples, name) > 1000);
  try {
    for (let round = 0; round < 2; round++) {
      writeFileSync(ONLINE, '0');
      await sleep(700);
      const during = ioExits(await agent.scrape(), 'unplug-a');
      await agent.scrapeUntil('more exits', (samples) => ioExits(samples, 'unplug-a') > during);
      writeFileSync(ONLINE, '1');
      await sleep(700);
    }
  } finally {
    writeFileSync(ONLINE, '1');
  }
  for (const guest of guests) await guest.kill();
  const samples = await scrapeAllEvents(agent, 'unplug-a', 'unplug-b');
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(ringBufferStats(agent.instance).lost, 0);
  for (const { name, writesDone } of guests) {
    const ahead = ioExits(samples, name) - writesDone();
    assert.ok(ahead === 0 || ahead === 1, `${name} did ${writesDone()} writes, and ${ahead} more are counted`);
  }
  await agent.stop();
});
