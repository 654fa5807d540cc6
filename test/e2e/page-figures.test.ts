/** The pages show the figures of the API, and the history those of the metrics. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmDetail } from '../../src/rates/vm-detail.js';
import type { CurrentRates } from '../../src/rates/vm-rates.js';
import type { VmHistoryAnswer } from '../../src/web/page/history-answer.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { parseMetrics } from '../support/prometheus/metrics-text.js';

afterEach(endAll);

test('/, /vm, /api/vms and /api/vm have the same figures', { timeout: 300_000 }, async () => {
  const { url } = await WebAgent.start();
  const text = async (path: string) => (await fetch(`${url}${path}`)).text();
  for (;;) {
    const before = await text('/api/vms');
    const pages = [await text('/'), await text('/vm?name=legacy-db'), await text('/api/vm?name=legacy-db')] as const;
    const { seconds, vms } = JSON.parse(before) as CurrentRates;
    // A new observation in between: once more.
    if (seconds === null || before !== (await text('/api/vms'))) {
      await sleep(200);
      continue;
    }
    const [overview, page, json] = pages;
    const row = vms.find(({ vm }) => vm === 'legacy-db');
    assert.ok(row !== undefined);
    assert.deepEqual((JSON.parse(json) as VmDetail).vm, row);
    const cells = /<tr data-key="legacy-db">(.*?)<\/tr>/s.exec(overview)?.[1] ?? '';
    const values = new Map([...cells.matchAll(/data-label="([^"]*)" data-value="([^"]*)"/g)].map(([, a, b]) => [a, b]));
    const { time_shares: shares } = row;
    for (const [label, value] of [
      ['exits/s to KVM', row.kvm_exits_per_second],
      ['exits/s to QEMU', row.qemu_exits_per_second],
      ['reaching QEMU', row.share_reaching_qemu],
      ['in guest', shares.guest],
      ['in KVM', shares.kvm],
      ['in QEMU', shares.qemu],
      ['idle', shares.idle],
      ['top reason', row.top_reason?.reason],
      ['top device', row.top_device?.device],
    ] as const)
      assert.equal(values.get(label), String(value), label);
    assert.ok(page.includes(`<dt>reaching QEMU</dt><dd>${(100 * (row.share_reaching_qemu ?? 0)).toFixed(1)} %</dd>`));
    // The recording shows all of the time.
    assert.equal(shares.unknown, null);
    assert.ok(page.includes('<dt>not known</dt><dd>–</dd>'));
    return;
  }
});

test('the rates of the history add up to what the metrics counted', { timeout: 300_000 }, async () => {
  const { url } = await WebAgent.start();
  const counted = async () => {
    const samples = parseMetrics(await (await fetch(`${url}/metrics`)).text()).get('kvm_exits_total')?.samples ?? [];
    return samples
      .filter(({ labels }) => labels.get('vm') === 'web-1' && labels.get('layer') === 'kvm')
      .reduce((sum, { value }) => sum + value, 0);
  };
  const history = async () => (await (await fetch(`${url}/api/history?name=web-1`)).json()) as VmHistoryAnswer;
  /** What was counted some time before a step of the history ended, and some time after. */
  const endOf = async (step: number) => {
    for (let before = await counted(); ; await sleep(50)) {
      const now = await counted();
      if ((await history()).seconds_ago.length >= step) return { before, after: await counted() };
      before = now;
    }
  };
  const [from, to] = [await endOf(1), await endOf(4)];
  const { exits, seconds_ago } = await history();
  const values = exits.find(({ name }) => name === 'to KVM')?.values.slice(1, 4) ?? [];
  const seconds = [1, 2, 3].map((index) => (seconds_ago[index - 1] ?? 0) - (seconds_ago[index] ?? 0));
  const sum = values.reduce((total: number, value, index) => total + (value ?? Number.NaN) * (seconds[index] ?? 0), 0);
  const [least, most] = [to.before - from.after, to.after - from.before];
  assert.ok(sum > 0.95 * least && sum < 1.05 * most, `${sum} by the history, ${least} to ${most} by the metrics`);
});
