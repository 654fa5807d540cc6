/**
 * Cost of an export over OTLP: `node build/test/bench/otlp-cost.js`. Needs no guests and no rights.
 *
 * The counts of 1,140 VMs x 8 vCPUs x 20 reasons are exported five times to a receiver in another process, which reads
 * and drops them. Measured are the longest time between two turns of the event loop, by the clock and by CPU time, and
 * how much memory the process takes before the first export and at most.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { limitYoungGeneration } from '../../src/commands/serving/limit-young-generation.js';

const SIZE = { vms: 1140, durations: false };
const EXPORTS = 5;

if (process.argv[2] === 'receiver') receive();
else await measure();

function receive(): void {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end());
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}

async function measure(): Promise<void> {
  // As the agent does, before it loads the rest: src/cli.ts and src/commands/serving/collect-garbage.ts.
  limitYoungGeneration();
  setFlagsFromString('--heap-growing-percent=50');
  const { ExportCounts } = await import('../../src/expose/otlp/export-counts.js');
  const { startOtlpExport } = await import('../../src/expose/otlp/otlp-export.js');
  const { LimitedSnapshots } = await import('../../src/commands/serving/limited-snapshots.js');
  const { DEFAULT_LIMITS } = await import('../../src/snapshot/series-limiter.js');
  const { snapshotSteps } = await import('../../src/snapshot/take-snapshot.js');
  const { EventLoopTurns } = await import('./tools/event-loop-turns.js');
  const { cursorOf, newLedger, pagesOf, vmInfos } = await import('./tools/synthetic-host.js');
  const receiver = fork(import.meta.filename, ['receiver']);
  const [port] = (await once(receiver, 'message')) as [number];
  const infos = vmInfos(SIZE.vms);
  const ledger = newLedger(infos);
  const counts = ledger.kernelSource('tracefs');
  const cursor = cursorOf(ledger, counts);
  for (const page of pagesOf(SIZE, 0)) {
    cursor.load(page);
    cursor.run(Number.POSITIVE_INFINITY);
    if (counts.threads.takeNew().length > 0) ledger.resolveOwners(0);
  }
  ledger.kernelCountsAll = true;
  const snapshots = new LimitedSnapshots(DEFAULT_LIMITS, function* () {
    return yield* snapshotSteps(yield* ledger.totalsSteps(), infos);
  });
  const { series } = snapshots.take();
  await sleep(1000);
  globalThis.gc?.();

  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const turns = new EventLoopTurns();
  const exports = new ExportCounts();
  const otlp = startOtlpExport(
    snapshots,
    { version: 'bench', port: '', containerId: '', kubernetes: {} },
    {
      url: `http://127.0.0.1:${port}/v1/metrics`,
      ...{ intervalMs: 5000, timeoutMs: 10_000, delta: { sums: false, histograms: false } },
    },
    exports,
  );
  while (exports.use.exports.complete < EXPORTS) await sleep(100);
  const { seconds, series: sent, requests } = exports.use;
  console.log(
    [
      `${series?.count ?? 0} series, ${sent} of them in an export`,
      `${(seconds / EXPORTS).toFixed(2)} s for an export of ${(requests[0]?.count ?? 0) / EXPORTS} requests`,
      `longest stall ${turns.longestMs.toFixed(0)} ms, most work in one piece ${turns.mostWorkMs.toFixed(0)} ms of CPU`,
      `resident memory ${megabytes(before)} before, at most ${megabytes(most)}: ${megabytes(most - before)} more`,
    ].join('\n'),
  );
  clearInterval(watch);
  turns.stop();
  receiver.kill();
  await otlp.stop();
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
