/**
 * A CPU is unplugged and comes back. That changes the whole machine for a moment, so it is done only where it is asked for:
 * FAULTS_UNPLUG_CPU=1 node --test build/test/live/faults/cpu.test.js
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits, liveTest, ringBufferStats, stopRecording } from '../../support/guest/agent-checks.js';
import { startGuest } from '../../support/guest/start-guest.js';

const CPU = Number(process.env.FAULTS_UNPLUG_CPU ?? Number.NaN);
const ONLINE = `/sys/devices/system/cpu/cpu${CPU}/online`;

afterEach(endAll);

function options() {
  const { skip, timeout } = liveTest();
  if (Number.isNaN(CPU)) return { skip: 'changes the machine; FAULTS_UNPLUG_CPU=1 has it done with CPU 1', timeout };
  if (!existsSync(ONLINE)) return { skip: `no ${ONLINE}`, timeout };
  return { skip: skip || pinned(), timeout };
}

/** Whoever may run on that CPU only would be let run anywhere, for good. */
function pinned(): string | false {
  const all = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
    const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
    const ofKernel = !/^VmSize:/m.test(status);
    if (allowed !== undefined && allowed !== all && !ofKernel) return `process ${pid} is pinned to CPUs ${allowed}`;
  }
  return false;
}

test('a CPU goes and comes back while guests run: every event of it is counted', options(), async () => {
  const agent = await startAgent();
  const guests = ['unplug-a', 'unplug-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  for (const { name } of guests) await agent.scrapeUntil(name, (samples) => ioExits(samples, name) > 1000);
  try {
    for (let round = 0; round < 2; round++) {
      writeFileSync(ONLINE, '0');
      await sleep(700);
      const during = ioExits(await agent.scrape(), 'unplug-a');
      await agent.scrapeUntil('it goes on', (samples) => ioExits(samples, 'unplug-a') > during);
      writeFileSync(ONLINE, '1');
      await sleep(700);
    }
  } finally {
    writeFileSync(ONLINE, '1');
  }
  for (const guest of guests) await guest.kill();
  stopRecording(agent.instance);
  const samples = await agent.scrapeUntil('all that was written', (now) => {
    const { read, waiting } = ringBufferStats(agent.instance);
    return waiting === 0 && now.sum('kvm_exit_exporter_events_total', { source: 'tracefs' }) === read;
  });
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(ringBufferStats(agent.instance).lost, 0);
  for (const { name, rounds } of guests) {
    const ahead = ioExits(samples, name) - rounds();
    assert.ok(ahead === 0 || ahead === 1, `${name}: ${ahead} more counted than its ${rounds()}`);
  }
  await agent.stop();
});
