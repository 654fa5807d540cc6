/**
 * A real spike: a guest is quiet and then does nothing but port I/O, watched by the live agent and a Prometheus. The
 * rules are those of deploy/prometheus, with seconds instead of days.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alerts } from '../../../grafana/rules/alerts.js';
import { recorded, recordingRules } from '../../../grafana/rules/recording-rules.js';
import { ruleFile } from '../../../grafana/rules/rule-files.js';
import { THRESHOLDS } from '../../../grafana/thresholds.js';
import { startAgent } from '../../support/agent/start-agent.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { Prometheus } from '../../support/prometheus/prometheus.js';
import type { Samples } from '../../support/prometheus/samples.js';
import { needs } from '../../support/requirements.js';

const LIVE = needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', 'prometheus');

const FOR_SECONDS = 4;
/** The thresholds of deploy/prometheus with shorter times. */
const SHORT = {
  ...THRESHOLDS,
  rateWindow: '3s',
  recordEvery: '1s',
  spike: {
    ...THRESHOLDS.spike,
    baselineWindow: '20s',
    baselineOffset: '1s',
    minHistory: '3s',
    warning: { ...THRESHOLDS.spike.warning, for: `${FOR_SECONDS}s` },
    critical: { ...THRESHOLDS.spike.critical, for: '2s' },
  },
};
/** Time for a scrape, the window of the rate and two evaluations. */
const SLACK_SECONDS = 6;

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

function exitsOf(samples: Samples, vm: string): number {
  return samples.sum('kvm_exits_total', { vm, layer: 'qemu' });
}

/** VM and severity of each spike alert in a state. */
async function spikes(prometheus: Prometheus, state: string): Promise<string[]> {
  const { alerts: all } = (await prometheus.api('alerts')) as { alerts: Alert[] };
  return all
    .filter((alert) => alert.labels.alertname === 'KvmUserspaceExitSpike' && alert.state === state)
    .map(({ labels }) => `${labels.vm} ${labels.severity}`);
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 180_000;
  while (!(await done())) {
    if (performance.now() > deadline) assert.fail(`${what}: not within 180 s`);
    await sleep(200);
  }
}

test('a guest that starts port I/O fires the alert in time, and its quiet neighbour does not', {
  ...LIVE,
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spike-'));
  const rules = join(folder, 'rules.yml');
  writeFileSync(rules, ruleFile([...recordingRules(SHORT), ...alerts(SHORT)]));
  const agent = await startAgent();
  const prometheus = await Prometheus.start({ target: new URL(agent.url).host, rules: [rules] });
  const spiking = startGuest({ name: 'spiking', steps: [{ forever: { out: 0x80 } }] });
  const quiet = startGuest({
    name: 'quiet',
    steps: [
      { in: 0x80, times: 2 },
      { cpuid: 0, times: 2_000_000_000 },
    ],
  });
  try {
    // The guest is stopped after its first exits, which makes its quiet time.
    await agent.scrapeUntil(
      'both guests',
      (samples) => exitsOf(samples, 'spiking') > 100 && exitsOf(samples, 'quiet') > 0,
    );
    process.kill(spiking.pid, 'SIGSTOP');
    // With exits in its window, the baseline would follow the spike before the alert fires on a busy machine.
    await until('a baseline without exits', async () => {
      const { baseline, toQemu } = recorded(SHORT.rateWindow);
      const [usual] = await prometheus.query(`${baseline}{vm="spiking"}`);
      const [highest] = await prometheus.query(
        `max_over_time(${toQemu}{vm="spiking"}[${SHORT.spike.baselineWindow}] offset ${SHORT.spike.baselineOffset})`,
      );
      return usual?.values[0] === 0 && highest?.values[0] === 0;
    });
    assert.deepEqual(await spikes(prometheus, 'firing'), []);

    process.kill(spiking.pid, 'SIGCONT');
    const startMs = performance.now();
    await until('the alert', async () => (await spikes(prometheus, 'firing')).includes('spiking warning'));
    const seconds = (performance.now() - startMs) / 1000;
    // Prometheus scrapes once a second, and less often where it has no CPU for that.
    const [scrapes] = await prometheus.query(`count_over_time(up[${Math.ceil(seconds)}s])`);
    const took = `fired ${seconds.toFixed(1)} s and ${scrapes?.values[0]} scrapes after the spike began`;
    console.log(`${took}, for: ${SHORT.spike.warning.for}`);
    assert.ok((scrapes?.values[0] ?? Number.NaN) < FOR_SECONDS + SLACK_SECONDS, took);
    const all = [...(await spikes(prometheus, 'firing')), ...(await spikes(prometheus, 'pending'))];
    assert.ok(!all.some((alert) => alert.startsWith('quiet')), all.join());
  } finally {
    await Promise.all([spiking.kill(), quiet.kill()]);
    await prometheus.stop();
    await agent.stop();
    rmSync(folder, { recursive: true });
  }
});
