/** Prometheus and OTLP receivers go away and come back: all counts of the meantime arrive. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { freePort } from '../../support/free-port.js';
import { assertCountsExactly, PORT_WRITES, waitForLog } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { increaseIn, type Received, startReceiver } from '../../support/prometheus/otlp-receiver.js';
import { Prometheus } from '../../support/prometheus/prometheus.js';

afterEach(endAll);

const QEMU_IO = { layer: 'qemu', reason: 'KVM_EXIT_IO' } as const;

/** Sum of a VM's port I/O exits: of the latest totals, or of all differences. */
const SUMS: Record<string, (requests: readonly Received[], vm: string) => number> = {
  cumulative: (requests, vm) => increaseIn(requests.slice(-1), 'kvm.exits', { ...QEMU_IO, vm }),
  delta: (requests, vm) => increaseIn(requests, 'kvm.exits', { ...QEMU_IO, vm }),
};

for (const [temporality, sum] of Object.entries(SUMS))
  test(
    `the OTLP receiver goes away and comes back (${temporality}): all counts of the meantime arrive`,
    liveTest(),
    async () => {
      // One that the kernel gives to no other socket while nothing listens.
      const port = await freePort();
      const first = await startReceiver({ port });
      const agent = await startAgent({
        args: [
          `--otlp.endpoint=http://127.0.0.1:${port}`,
          '--otlp.interval=500ms',
          `--otlp.temporality=${temporality}`,
        ],
      });
      await first.atLeast(1);
      await first.stop();
      await assertCountsExactly(agent, 'unsent');
      await waitForLog(agent, /level=(warn|error) .*OTLP/i);
      const second = await startReceiver({ port });
      const received = () => sum(second.requests, 'unsent');
      for (let waits = 0; received() < PORT_WRITES + 1; waits++) {
        assert.ok(waits < 600, `${received()} of ${PORT_WRITES + 1} exits arrived\n${agent.log()}`);
        await sleep(100);
      }
      assert.equal(received(), PORT_WRITES + 1);
      await agent.stop();
      await second.stop();
    },
  );

test(
  'Prometheus is killed while it scrapes: the agent continues, and the next Prometheus has every count',
  liveTest('prometheus'),
  async () => {
    const agent = await startAgent();
    const { host } = new URL(agent.url);
    const options = { target: host, rules: [], interval: '200ms' };
    const killed = await Prometheus.start(options);
    const forgetKilled = endLater(() => killed.stop());
    await sleep(300 * Math.random());
    forgetKilled();
    await killed.stop(); // SIGKILL
    await assertCountsExactly(agent, 'unscraped');
    const prometheus = await Prometheus.start(options);
    const forget = endLater(() => prometheus.stop());
    const query = 'sum(kvm_exits_total{vm="unscraped", layer="qemu", reason="KVM_EXIT_IO"})';
    let value: number | undefined;
    for (let waits = 0; value === undefined; waits++) {
      assert.ok(waits < 600, 'Prometheus does not get the counts');
      await sleep(100);
      value = (await prometheus.query(query))[0]?.values[0];
    }
    assert.equal(value, PORT_WRITES + 1);
    forget();
    await prometheus.stop();
    await agent.stop();
  },
);

test('the agent continues to count while scrapers reset their connections', liveTest(), async () => {
  const agent = await startAgent();
  const { port } = new URL(agent.url);
  for (let request = 0; request < 100; request++)
    connect(Number(port), '127.0.0.1', function (this: import('node:net').Socket) {
      this.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', () => this.resetAndDestroy());
    }).on('error', () => {});
  await assertCountsExactly(agent, 'during-resets');
  await agent.stop();
});

test('the agent ends in time although the OTLP receiver never answers or does not listen', liveTest(), async () => {
  const silent = await startReceiver({ status: () => undefined });
  for (const port of [silent.port, await freePort()]) {
    const agent = await startAgent({ args: [`--otlp.endpoint=http://127.0.0.1:${port}`, '--otlp.interval=500ms'] });
    await assertCountsExactly(agent, `unanswered-${port}`);
    await agent.stop();
  }
  await silent.stop();
});
