/** What one VM answers about KVM's own statistics changes nothing for another one. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcTree } from '../support/agent/proc-tree.js';
import {
  HONEST_ANSWERS,
  HONEST_EXITS,
  putStatisticsVms,
  serveSilence,
  serveStatistics,
  VCPU_PATH,
} from '../support/agent/statistics-sockets.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { Samples } from '../support/prometheus/samples.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Each takes three seconds; eight are asked at a time, for five seconds, each ten seconds. */
const SILENT = 400;
/** The agent asks each ten seconds. */
const WAIT_MS = 300_000;
const NAMES = Array.from({ length: 1500 }, (_, n) => `made_up_${n}_exits`);
const OF_VM = NAMES.map((name) => `other_${name}`);
const VCPUS = Array.from({ length: 1000 }, (_, n) => n);

function schemaOf(target: string, names: readonly string[]): object {
  return { provider: 'kvm', target, stats: names.map((name) => ({ name, type: 'cumulative', exponent: 0 })) };
}

function valuesOf(names: readonly string[]): object[] {
  return names.map((name) => ({ name, value: 1 }));
}

async function until(agent: WebAgent, what: string, isDone: (samples: Samples) => boolean): Promise<Samples> {
  for (const endMs = Date.now() + WAIT_MS; ; await sleep(200)) {
    const samples = new Samples(await (await fetch(`${agent.url}/metrics`)).text());
    if (isDone(samples)) return samples;
    assert.ok(Date.now() < endMs, what);
  }
}

function isHonestRead(samples: Samples): boolean {
  return samples.sum('kvm_stat_total', { vm: 'victim', stat: 'exits' }) === HONEST_EXITS;
}

test('a VM that makes up statistics and vCPUs hides none of another VM, and has no more vCPUs than threads', async (t) => {
  const folder = temporaryFolder(t, 'statistics');
  const agent = await WebAgent.startCommand('run', putStatisticsVms(new ProcTree(t), folder));
  await serveStatistics(folder, 'evil', {
    schemas: [schemaOf('vcpu', NAMES), schemaOf('vm', OF_VM)],
    vmStats: [{ provider: 'kvm', stats: valuesOf(OF_VM) }],
    cpus: VCPUS.map((n) => ({ 'cpu-index': n, 'qom-path': `${VCPU_PATH}[${n}]`, 'thread-id': n })),
    // The first vCPU has all of them.
    stats: VCPUS.map((n) => ({
      provider: 'kvm',
      'qom-path': `${VCPU_PATH}[${n}]`,
      stats: valuesOf(n === 0 ? NAMES : NAMES.slice(0, 1)),
    })),
  });
  await until(agent, 'the statistics of the first VM', (samples) => samples.sum('kvm_stat_total', { vm: 'evil' }) > 0);
  await serveStatistics(folder, 'victim', HONEST_ANSWERS);
  const samples = await until(agent, 'those of the other', isHonestRead);
  const vcpus = Object.keys(samples.sumBy('vcpu', 'kvm_stat_total', { vm: 'evil' }));
  assert.ok(vcpus.length <= 3, `${vcpus.length} vCPUs of a process with two threads`);
});

test('a VM with hundreds of silent control sockets keeps none of another VM from being asked', async (t) => {
  const folder = temporaryFolder(t, 'statistics');
  const args = putStatisticsVms(new ProcTree(t), folder);
  await serveSilence(folder, 'evil', SILENT);
  await serveStatistics(folder, 'victim', HONEST_ANSWERS);
  const agent = await WebAgent.startCommand('run', args);
  await until(agent, 'the statistics of the VM that answers', isHonestRead);
});
