/** Follows QEMU's traces as the agent does, with processes that the test defines. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { attributionOf } from '../../../src/agent/attribution.js';
import { KNOWN_NAMES } from '../../../src/agent/known-names.js';
import { QemuFeed } from '../../../src/agent/qemu-feed.js';
import { Ledger } from '../../../src/count/ledger.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import { Inventory } from '../../../src/vm/inventory.js';
import { ProcTree } from '../agent/proc-tree.js';
import { HANG_MS } from '../patience.js';

export interface FollowedTraces {
  readonly folder: string;
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  readonly proc: ProcTree;
  readonly traces: QemuFeed;
  /** Scans until this many events of QEMU were counted, or {@link HANG_MS} have passed. */
  until(events: number): Promise<Snapshot>;
}

export interface FollowOptions {
  readonly log?: string;
  readonly simple?: string;
  readonly traceEvents?: string;
  readonly anyEvent?: boolean;
  /** Prepares the folder and the processes. */
  readonly before?: (folder: string, proc: ProcTree) => void;
}

export function followTraces(
  t: TestContext,
  { log, simple, traceEvents, anyEvent = false, before }: FollowOptions,
): FollowedTraces {
  const folder = mkdtempSync(join(tmpdir(), 'qemu-traces-'));
  const proc = new ProcTree(t);
  before?.(folder, proc);
  const inventory = new Inventory({ procfs: proc.root, live: true });
  inventory.scan(performance.now());
  const ledger = new Ledger(attributionOf(inventory), { knownNames: KNOWN_NAMES });
  const patterns = (name: string | undefined) => (name === undefined ? [] : [join(folder, name)]);
  const options = {
    logs: patterns(log),
    simples: patterns(simple),
    traceEvents,
    anyEvent,
    procfs: proc.root,
    graceMs: 1e9,
  };
  const traces = new QemuFeed(options, ledger, inventory);
  traces.start();
  t.after(() => {
    traces.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    ledger,
    inventory,
    proc,
    traces,
    async until(events) {
      const endMs = performance.now() + HANG_MS;
      for (;;) {
        inventory.scan(performance.now());
        traces.scan(performance.now());
        ledger.resolveOwners(performance.now());
        await sleep(100);
        const snapshot = takeSnapshot(ledger.totals());
        const seen = snapshot.sources.reduce((sum, source) => sum + source.events, 0);
        if (seen >= events || performance.now() > endMs) {
          await sleep(150);
          await traces.findOpeners();
          return takeSnapshot(ledger.totals());
        }
      }
    },
  };
}
