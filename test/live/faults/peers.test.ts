/** Those who fetch or get the figures go away and come back: nothing that was counted meanwhile is missing then. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { freePort } from '../../support/free-port.js';
import { assertCountsExactly, liveTest, PORT_WRITES, says } from '../../support/guest/agent-checks.js';
import { metricOf, type Received, startReceiver } from '../../support/prometheus/otlp-receiver.js';
import { Prometheus } from '../../support/prometheus/prometheus.js';

afterEach(endAll);

const QEMU_IO = { layer: 'qemu', reason: 'KVM_EXIT_IO' } as const;

/** Exits of a VM in a request, undefined where it has none. */
function exitsIn(request: Received, vm: string): number | undefined {
  const points = metricOf(request, 'kvm.exits')?.points.filter(
    ({ attributes: { vm: ofVm, layer, reason } }) =>
      ofVm === vm && layer === QEMU_IO.layer && reason === QEMU_IO.reason,
  );
  return points?.length ? points.reduce((sum, { value }) => sum + value, 0) : undefined;
}

for (const [temporality, sumUp] of [
  ['cumulative', (values: readonly number[]) => values.at(-1) ?? 0],
  ['delta', (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)],
] as const)
  test(
    `the OTLP receiver goes and comes back (${temporality}): all that was counted meanwhile arrives`,
    liveTest(),
    async () => {
      const first = await startReceiver();
      const { port } = first;
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
      await says(agent, /level=(warn|error) .*OTLP/i);
      const second = await startReceiver({ port });
      const received = () => sumUp(second.requests.map((request) => exitsIn(request, 'unsent') ?? 0));
      for (let waits = 0; received() < PORT_WRITES + 1; waits++) {
        assert.ok(waits < 300, `${received()} arrived\n${agent.log()}`);
        await sleep(100);
      }
      assert.equal(received(), PORT_WRITES + 1);
      await agent.stop();
      await second.stop();
    },
  );

test(
  'Prometheus killed in the middle of scraping: the agent goes on, and the next Prometheus has every count',
  liveTest('prometheus'),
  async () => {
    const agent = await startAgent();
    const { host } = new URL(agent.url);
    const options = { target: host, rules: [], interval: '200ms' };
    const killed = await Prometheus.start(options);
    const killedIsEnded = endLater(() => killed.stop());
    await sleep(300 * Math.random());
    killedIsEnded();
    await killed.stop(); // SIGKILL
    await assertCountsExactly(agent, 'unscraped');
    const prometheus = await Prometheus.start(options);
    const isEnded = endLater(() => prometheus.stop());
    const query = 'sum(kvm_exits_total{vm="unscraped", layer="qemu", reason="KVM_EXIT_IO"})';
    let value: number | undefined;
    for (let waits = 0; value === undefined; waits++) {
      assert.ok(waits < 200, 'Prometheus never has it');
      await sleep(100);
      value = (await prometheus.query(query))[0]?.values[0];
    }
    assert.equal(value, PORT_WRITES + 1);
    isEnded();
    await prometheus.stop();
    await agent.stop();
  },
);

test('scrapers that ask and do not stay for the answer: it counts on', liveTest(), async () => {
  const agent = await startAgent();
  const { port } = new URL(agent.url);
  for (let asked = 0; asked < 100; asked++)
    connect(Number(port), '127.0.0.1', function (this: import('node:net').Socket) {
      this.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', () => this.resetAndDestroy());
    }).on('error', () => {});
  await assertCountsExactly(agent, 'asked-in-vain');
  await agent.stop();
});

test(
  'a receiver that never answers, and a port where nobody is: it ends in time all the same',
  liveTest(),
  async () => {
    const silent = await startReceiver({ status: () => undefined });
    for (const port of [silent.port, await freePort()]) {
      const agent = await startAgent({ args: [`--otlp.endpoint=http://127.0.0.1:${port}`, '--otlp.interval=500ms'] });
      await assertCountsExactly(agent, `unanswered-${port}`);
      await agent.stop();
    }
    await silent.stop();
  },
);
