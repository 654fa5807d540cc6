/** The figures of stat, top, API, pages and metrics for one VM over the same seconds, and the count of its guest. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ReportData } from '../../src/expose/report/report.js';
import type { VmDetail } from '../../src/rates/vm-detail.js';
import type { CurrentRates } from '../../src/rates/vm-rates.js';
import type { NamedPoints, VmHistoryAnswer } from '../../src/web/page/history-answer.js';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { Chromium } from '../support/browser/chromium.js';
import { endAll, endLater } from '../support/end-later.js';
import { ioExits } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Step } from '../support/guest/steps.js';
import { MAIN } from '../support/paths.js';
import { Tmux } from '../support/tmux.js';

afterEach(endAll);

const VM = 'agreed';
const SECONDS = 10;
const HISTORY_STEP_SECONDS = 5;
/** Time in which the guest's counter and ours are read one after the other, as a part of the period. */
const TOLERANCE = 0.02;
const STEADY: readonly Step[] = [{ bursts: { out: 0x80, times: 100, everyMs: 20 } }];

const run = async (...args: string[]) =>
  (await promisify(execFile)(process.execPath, [MAIN, ...args, `--vm=${VM}`, '--format=json'])).stdout;

/** The guest's own count of its exits, at times. */
class Witness {
  readonly #samples: { readonly atMs: number; readonly writes: number }[] = [];
  readonly #stop = new AbortController();

  constructor(writesDone: () => number) {
    void (async () => {
      while (!this.#stop.signal.aborted) {
        this.#samples.push({ atMs: performance.now(), writes: writesDone() });
        await sleep(20);
      }
    })();
  }

  stop(): void {
    this.#stop.abort();
  }

  /** The lowest and the highest rate in any time of this length: on a busy host, even a steady guest has to wait. */
  range(seconds: number): readonly [min: number, max: number] {
    const rates = this.#samples.flatMap((start) => {
      const end = this.#samples.find(({ atMs }) => atMs >= start.atMs + seconds * 1000);
      return end === undefined ? [] : [((end.writes - start.writes) * 1000) / (end.atMs - start.atMs)];
    });
    return [Math.min(...rates), Math.max(...rates)];
  }
}

/** Starts a steady guest, its witness, and the agent last, so that no period of the agent begins before the guest. */
async function startWatched() {
  const guest = startGuest({ name: VM, steps: STEADY });
  while (guest.writesDone() === 0) await sleep(50);
  const witness = new Witness(() => guest.writesDone());
  const agent = await startAgent();
  await agent.scrapeUntil('the guest', (samples) => ioExits(samples, VM) > 0);
  return { witness, agent, origin: new URL(agent.url).origin };
}

/** Exits that an agent had counted at a moment between these two. */
interface Counted {
  readonly beganMs: number;
  readonly endMs: number;
  readonly exits: number;
}

async function exitsNow(agent: RunningAgent): Promise<Counted> {
  const beganMs = performance.now();
  const samples = await agent.scrape();
  return { beganMs, endMs: performance.now(), exits: ioExits(samples, VM) };
}

/** The rate between the middles of two scrapes. */
function rateBetween(before: Counted, after: Counted): readonly [rate: number, seconds: number] {
  const seconds = (after.beganMs + after.endMs - before.beganMs - before.endMs) / 2000;
  return [(after.exits - before.exits) / seconds, seconds];
}

test('stat, top, /api/vms, /api/vm and /metrics agree with each other and with the guest', liveTest(), async (t) => {
  const { witness, agent, origin } = await startWatched();
  const local = `--tracefs.instance=${uniqueInstance()}`;
  const before = await exitsNow(agent);
  const [statJson, topJson] = await Promise.all([
    run('stat', `${SECONDS}s`, `--tracefs.instance=${uniqueInstance()}`),
    run('top', '--batch', '-n1', `--interval=${SECONDS}s`, local),
  ]);
  const after = await exitsNow(agent);
  const read = async <Answer>(path: string) => (await (await fetch(`${origin}${path}`)).json()) as Answer;
  const vms = await read<CurrentRates>('/api/vms');
  const detail = await read<VmDetail>(`/api/vm?name=${VM}`);
  const urlJson = await run('top', '--batch', '-n1', `--url=${origin}`);
  await sleep(200);
  witness.stop();

  const stat = JSON.parse(statJson) as ReportData;
  const [topLocal, topUrl] = [JSON.parse(topJson) as CurrentRates, JSON.parse(urlJson) as CurrentRates];
  const rateIn = (rates: CurrentRates) => rates.vms.find(({ vm }) => vm === VM)?.qemu_exits_per_second;
  const io = detail.reasons.rows.find(({ reason }) => reason === 'KVM_EXIT_IO');
  const port = detail.accesses.rows.find(({ address, layer }) => address === '0x80' && layer === 'qemu');
  const FIGURES = {
    stat: [stat.totals[0]?.qemu_exits_per_second, stat.recording.seconds],
    'stat, port': [
      (stat.io.find(({ address }) => address === '0x80')?.count ?? 0) / (stat.recording.seconds ?? 0),
      stat.recording.seconds,
    ],
    top: [rateIn(topLocal), topLocal.seconds],
    'top --url': [rateIn(topUrl), topUrl.seconds],
    '/api/vms': [rateIn(vms), vms.seconds],
    '/api/vm': [io?.exits_per_second, detail.seconds],
    '/api/vm, port': [port?.accesses_per_second, detail.seconds],
    '/metrics': rateBetween(before, after),
  } as const;
  for (const [name, [rate, seconds]] of Object.entries(FIGURES)) {
    assertAgrees(t, witness, name, rate, seconds);
  }
});

test(
  'the pages in a browser, their charts and a rate of /metrics agree with the guest',
  liveTest('chromium'),
  async (t) => {
    const { witness, agent, origin } = await startWatched();
    const browser = await Chromium.start();
    endLater(() => browser.close());
    const page = await browser.newPage();
    // Two windows of the agent: the first one begins while it starts.
    await sleep(SECONDS * 1000);
    const before = await exitsNow(agent);
    await sleep(SECONDS * 1000);
    const after = await exitsNow(agent);
    await page.open(`${origin}/`);
    const period = await page.value<string>(`document.body.innerText.match(/last ([\\d.]+) s/)[1]`);
    const inTable = await page.value<string>(
      `document.querySelector('tr[data-key="${VM}"] [data-label="exits/s to QEMU"]').textContent`,
    );
    await page.open(`${origin}/vm?name=${VM}`);
    await page.until(`document.querySelectorAll('figure:not([hidden]) canvas').length > 0`);
    const keyFigure = await page.value<string>(
      `[...document.querySelectorAll('#figures div')].find((each) => each.innerText.includes('exits to QEMU')).querySelector('dd').textContent`,
    );
    const ofReason = await page.value<string>(
      `[...document.querySelectorAll('#tables tr')].find((row) => row.innerText.includes('KVM_EXIT_IO')).querySelector('[data-label="per second"]').textContent`,
    );
    const history = await page.value<VmHistoryAnswer>(
      `fetch('/api/history?name=${VM}').then((answer) => answer.json())`,
    );
    await sleep(200);
    witness.stop();

    const latest = (of: readonly NamedPoints[], name: RegExp) =>
      of.find((series) => name.test(series.name))?.values.findLast((value) => value !== null);
    const rateOf = (text: string) => Number(text.replaceAll(',', '').replace('/s', ''));
    assertAgrees(t, witness, 'table of the page', rateOf(inTable), Number(period));
    assertAgrees(t, witness, 'key figure', rateOf(keyFigure), Number(period));
    assertAgrees(t, witness, 'reason', rateOf(ofReason), Number(period));
    assertAgrees(t, witness, 'chart of layers', latest(history.exits, /QEMU/), HISTORY_STEP_SECONDS);
    assertAgrees(t, witness, 'chart of reasons', latest(history.qemu_reasons, /KVM_EXIT_IO/), HISTORY_STEP_SECONDS);
    assertAgrees(t, witness, 'rate of /metrics', ...rateBetween(before, after));
    assert.deepEqual(page.errors, []);
  },
);

/** The figure is one that the guest had in a time of this length. */
function assertAgrees(
  t: TestContext,
  witness: Witness,
  name: string,
  figure: number | null | undefined,
  seconds: number | null | undefined,
): void {
  const [min, max] = witness.range(Math.min(seconds ?? 0, SECONDS));
  t.diagnostic(
    `${name}: ${figure?.toFixed(1)}/s over ${seconds?.toFixed(2)} s; the guest made ${min.toFixed(1)} to ${max.toFixed(1)}/s`,
  );
  assert.ok(
    figure && figure >= min * (1 - TOLERANCE) && figure <= max * (1 + TOLERANCE),
    `${name}: ${figure}, not ${min} to ${max}`,
  );
}

for (const [way, end] of [
  ['q', (tmux: Tmux) => tmux.press('q')],
  ['SIGTERM', (tmux: Tmux) => tmux.signal('SIGTERM')],
  ['a terminal that is gone', (tmux: Tmux) => tmux.signal('SIGHUP')],
] as const)
  test(`top shows the VMs of this host, and ${way} removes its instance`, liveTest('tmux'), async () => {
    startGuest({ name: 'top-live', steps: STEADY });
    const instance = uniqueInstance();
    const tmux = new Tmux(120, 30);
    tmux.line(
      `${process.execPath} ${MAIN} top --vm 'top-live' --tracefs.instance ${instance} --interval 1s; echo "code $?"`,
    );
    await tmux.until(/^top-live +1 .* KVM_EXIT_IO +post_code/m);
    assert.ok(tracingInstances().includes(instance));
    tmux.press('Enter');
    await tmux.until(/^qemu +pio out +0x80 +post_code/m);
    end(tmux);
    await tmux.until('code 0');
    assert.ok(!tracingInstances().includes(instance));
  });
