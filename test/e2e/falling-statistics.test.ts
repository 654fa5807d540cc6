/** A QEMU whose answers about KVM's own statistics have smaller values than before: no counter falls. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcTree } from '../support/agent/proc-tree.js';
import { HONEST_ANSWERS, putStatisticsVms, serveStatistics, VCPU_PATH } from '../support/agent/statistics-sockets.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { HANG_MS } from '../support/patience.js';
import { Samples } from '../support/prometheus/samples.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** What QEMU answers, and the total that follows: a value that has fallen was counted from 0 on. */
const ANSWERS: readonly (readonly [answer: number, total: number])[] = [
  [50_000, 50_000],
  [400, 50_400],
  [900, 50_900],
  [70_000, 120_000],
  [10, 120_010],
];

test('totals grow by what KVM counted since it began again, and no rate is negative', async (t) => {
  const folder = temporaryFolder(t, 'statistics');
  let exits = 0;
  const agent = await WebAgent.startCommand('run', putStatisticsVms(new ProcTree(t), folder));
  await serveStatistics(folder, 'victim', {
    ...HONEST_ANSWERS,
    get stats() {
      return [{ provider: 'kvm', 'qom-path': VCPU_PATH, stats: [{ name: 'exits', value: exits }] }];
    },
  });
  const shown: number[] = [];
  const rates: number[] = [];
  const look = async () => {
    const samples = new Samples(await (await fetch(`${agent.url}/metrics`)).text());
    shown.push(samples.sum('kvm_stat_total', { vm: 'victim', stat: 'exits' }));
    const { vms } = (await (await fetch(`${agent.url}/api/vms`)).json()) as {
      readonly vms: readonly { readonly vm: string; readonly kvm_exits_per_second: number | null }[];
    };
    rates.push(...vms.flatMap(({ kvm_exits_per_second: rate }) => rate ?? []));
    return shown.at(-1);
  };
  for (const [answer, total] of ANSWERS) {
    exits = answer;
    for (const endMs = Date.now() + HANG_MS; (await look()) !== total; await sleep(200))
      assert.ok(Date.now() < endMs, `${shown.at(-1)} exits instead of ${total}`);
  }
  assert.deepEqual(
    shown,
    shown.toSorted((a, b) => a - b),
  );
  assert.ok(rates.length > 0 && rates.every((rate) => rate >= 0), rates.join());
});
