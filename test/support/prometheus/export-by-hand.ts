/** An export over OTLP without a clock: each export begins when the test says so, and the test waits for its end. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExportCounts } from '../../../src/expose/otlp/export-counts.js';
import { type OtlpOptions, startOtlpExport } from '../../../src/expose/otlp/otlp-export.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { HANG_MS } from '../patience.js';

export interface ExportByHand {
  /** Exports, as at the end of an interval. Resolves when the export has ended. */
  next(): Promise<void>;
  /** Exports for the last time. Resolves when that has ended, for which the agent itself would not wait as long. */
  stop(): Promise<void>;
}

const IDENTITY = { version: '1.2.3', port: '10586', containerId: '', kubernetes: {} };
const NEVER_MS = 3_600_000;

export function startExportByHand(
  takeSnapshot: () => Snapshot,
  options: Omit<OtlpOptions, 'intervalMs'>,
  counts = new ExportCounts(),
): ExportByHand {
  let endInterval = () => {};
  const { mock: replaced } = mock.method(globalThis, 'setInterval', ((action: () => void) => {
    endInterval = action;
    return setTimeout(() => {}, 0);
  }) as typeof setInterval);
  const otlp = startOtlpExport({ take: takeSnapshot }, IDENTITY, { ...options, intervalMs: NEVER_MS }, counts);
  replaced.restore();
  const ended = () => counts.use.exports.complete + counts.use.exports.incomplete;
  const until = async (exports: number) => {
    for (const endMs = performance.now() + HANG_MS; ended() < exports; await sleep(2))
      assert.ok(performance.now() < endMs, `only ${ended()} exports have ended`);
  };
  return {
    async next() {
      // Two exports have different times, in milliseconds.
      for (const beforeMs = Date.now(); Date.now() <= beforeMs; ) await sleep(1);
      const before = ended();
      endInterval();
      await until(before + 1);
    },
    async stop() {
      for (const beforeMs = Date.now(); Date.now() <= beforeMs; ) await sleep(1);
      const before = ended();
      await otlp.stop();
      await until(before + 1);
    },
  };
}
