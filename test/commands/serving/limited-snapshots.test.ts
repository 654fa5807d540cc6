import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitedSnapshots } from '../../../src/commands/serving/limited-snapshots.js';
import { Ledger } from '../../../src/count/ledger.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { snapshotSteps } from '../../../src/snapshot/take-snapshot.js';

const VMS = 10;
/** Fewer than ten VMs have: the last ones are summed in the VM `other`. */
const LIMITS = { series: 60, seriesPerVm: 2000, labelLength: 128 };

/** VMs with one vCPU each. Thread ids are 1 to VMS. */
class Host {
  exits = 0;
  readonly #ledger = new Ledger({ ownerOf: (tid) => ({ vm: { label: `vm-${tid}` }, vcpu: '0' }) });
  readonly #kernel = this.#ledger.kernelSource('tracefs');
  readonly #io = this.#ledger.vocabulary.reasons.id('io');
  #timeNs = 0;

  readonly snapshots = new LimitedSnapshots(LIMITS, (isExported) => {
    return snapshotSteps(this.#ledger.totals(Number.POSITIVE_INFINITY, isExported));
  });

  /** Each VM exits so often. */
  run(exits: number): void {
    for (let tid = 1; tid <= VMS; tid++)
      for (let i = 0; i < exits; i++) this.#kernel.vmExit(++this.#timeNs, 0, tid, 0, this.#io, 0);
    this.exits += VMS * exits;
  }
}

const sumOf = ({ exits }: Snapshot) => exits.map(({ count }) => count).reduce((sum, count) => sum + count, 0);

describe('a snapshot in pieces', () => {
  it('lets other work go on', async () => {
    const host = new Host();
    host.run(1);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const snapshot = await host.snapshots.takeInPieces();
    clearInterval(timer);
    assert.ok(turns > 3, `${turns} turns`);
    assert.equal(sumOf(snapshot), host.exits);
  });

  it('is finished before the next one begins, so that no exit counts twice', async () => {
    const host = new Host();
    const seen: number[] = [];
    for (let i = 0; i < 10; i++) {
      host.run(100);
      const pieces = host.snapshots.takeInPieces();
      await new Promise((resolve) => setTimeout(resolve, i));
      host.run(100);
      // A scrape in the middle of an export.
      assert.equal(sumOf(host.snapshots.take()), host.exits);
      seen.push(sumOf(await pieces));
    }
    assert.equal(sumOf(host.snapshots.take()), host.exits);
    assert.ok(
      host.snapshots
        .take()
        .exits.map(({ vm }) => vm)
        .includes('other'),
    );
    for (const [i, sum] of seen.entries()) {
      assert.ok(sum <= (i + 1) * 200 * VMS, `export ${i} has ${sum}`);
      assert.ok(sum >= (i * 200 + 100) * VMS, `export ${i} has ${sum}`);
    }
  });
});
