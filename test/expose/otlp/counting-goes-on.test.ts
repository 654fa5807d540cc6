/**
 * Exports of a host on which VMs run, start and stop while an export is under way. What has arrived is held against the
 * events that were counted, which the test adds up by itself.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/count/ledger.js';
import type { ThreadOwner, VmIdentity } from '../../../src/count/thread-owners.js';
import { markAcknowledged, SnapshotProducer } from '../../../src/expose/otlp/snapshot-producer.js';
import { SeriesLimiter } from '../../../src/snapshot/series-limiter.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import { type Random, randomFrom } from '../../support/random.js';

const VMS = 150;
const VCPUS = 8;
const REASONS = ['io', 'hlt', 'npf', 'msr', 'cpuid', 'KVM_EXIT_IO', 'KVM_EXIT_MMIO', 'pause', 'wbinvd', 'xsetbv'];
/** Several batches: 150 x 8 x 10 series of exits. */
const SERIES = VMS * VCPUS * REASONS.length;
const EXPORTS = 8;
const UNKNOWN: ThreadOwner = { vm: undefined, vcpu: '' };

/** Counts by VM, vCPU and reason, joined by spaces. */
type Counts = Map<string, number>;

interface Vm {
  readonly identity: VmIdentity;
  readonly tids: readonly number[];
}

/** A ledger, and the sums of the events that it was given. */
class Host {
  readonly counted: Counts = new Map();
  readonly ledger: Ledger;
  readonly #random: Random;
  readonly #owners = new Map<number, ThreadOwner>();
  readonly #vms: Vm[] = [];
  readonly #kernel;
  readonly #reasons: readonly number[];
  #latestTid = 1000;
  #started = 0;
  #timeNs = 0;

  constructor(random: Random) {
    this.#random = random;
    this.ledger = new Ledger({ ownerOf: (tid) => this.#owners.get(tid) ?? UNKNOWN });
    this.#kernel = this.ledger.kernelSource('tracefs');
    this.ledger.kernelCountsAll = true;
    this.#reasons = REASONS.map((reason) => this.ledger.vocabulary.reasons.id(reason));
    for (let vm = 0; vm < VMS; vm++) this.startVm();
  }

  startVm(): void {
    const identity = { label: `vm-${this.#started++}` };
    const tids = Array.from({ length: VCPUS }, () => ++this.#latestTid);
    for (const [vcpu, tid] of tids.entries()) {
      this.#owners.set(tid, { vm: identity, vcpu: String(vcpu) });
      for (const reason of REASONS.keys()) this.#exit(identity.label, tid, vcpu, reason);
    }
    this.#vms.push({ identity, tids });
  }

  /** A vCPU's thread ends, and its counts stay. */
  endThread(): void {
    const { tids } = this.#vms[this.#below(this.#vms.length)] as Vm;
    this.ledger.endThread(tids[this.#below(tids.length)] as number);
  }

  /** A VM stops, and its series end. */
  forgetVm(): void {
    const [{ identity }] = this.#vms.splice(this.#below(this.#vms.length), 1) as [Vm];
    this.ledger.resolveOwners(Number.POSITIVE_INFINITY);
    this.ledger.forget(identity);
    for (const key of this.counted.keys()) if (key.startsWith(`${identity.label} `)) this.counted.delete(key);
  }

  run(events: number): void {
    for (let i = 0; i < events; i++) {
      const { identity, tids } = this.#vms[this.#below(this.#vms.length)] as Vm;
      const vcpu = this.#below(VCPUS);
      this.#exit(identity.label, tids[vcpu] as number, vcpu, this.#below(REASONS.length));
    }
  }

  /** What happens between two batches. */
  goOn(): void {
    this.run(500);
    this.endThread();
    if (this.#random() < 0.5) this.forgetVm();
    if (this.#random() < 0.5) this.startVm();
  }

  #exit(vm: string, tid: number, vcpu: number, reason: number): void {
    const id = this.#reasons[reason] as number;
    this.#timeNs += 1000;
    if (REASONS[reason]?.startsWith('KVM_EXIT') === true) this.#kernel.userspaceExit(this.#timeNs, 0, tid, id);
    else this.#kernel.vmExit(this.#timeNs, 0, tid, vcpu, id, 0);
    const key = `${vm} ${vcpu} ${REASONS[reason]}`;
    this.counted.set(key, (this.counted.get(key) ?? 0) + 1);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** Exports several times, and lets the host go on between two batches. */
async function exportOften(
  host: Host,
  { limiter = new SeriesLimiter(), isDelta = false }: { readonly limiter?: SeriesLimiter; readonly isDelta?: boolean },
  onExport: (arrived: Counts, countedThen: Counts) => void,
): Promise<void> {
  const countedThen: Counts = new Map();
  const producer = new SnapshotProducer({
    snapshots: {
      take() {
        countedThen.clear();
        for (const [key, count] of host.counted) countedThen.set(key, count);
        return limiter.apply(takeSnapshot(host.ledger.totals()));
      },
    },
    delta: { sums: isDelta, histograms: isDelta },
  });
  for (let number = 0; number < EXPORTS; number++) {
    const arrived: Counts = new Map();
    let batches = 0;
    for (const batch of await producer.batches()) {
      batches++;
      for (const { descriptor, dataPoints } of batch)
        if (descriptor.name === 'kvm.exits')
          for (const { attributes, value } of dataPoints) {
            const key = `${attributes.vm} ${attributes.vcpu} ${attributes.reason}`;
            assert.ok(!arrived.has(key), `${key} twice`);
            arrived.set(key, Number(value));
          }
      host.goOn();
      markAcknowledged(batch);
    }
    assert.ok(batches > 2 || isDelta, `${batches} batches`);
    onExport(arrived, countedThen);
  }
}

const sorted = (counts: Counts) => Array.from(counts, ([key, count]) => `${key} ${count}`).sort();

test('all batches of an export show what was counted when it began', async () => {
  const host = new Host(randomFrom(1));
  assert.ok(host.counted.size === SERIES);
  await exportOften(host, {}, (arrived, countedThen) => assert.deepEqual(sorted(arrived), sorted(countedThen)));
});

test('the differences add up to what was counted', async () => {
  const host = new Host(randomFrom(2));
  const sums: Counts = new Map();
  await exportOften(host, { isDelta: true }, (arrived, countedThen) => {
    for (const [key, increase] of arrived) {
      assert.ok(increase >= 0, `${key} ${increase}`);
      sums.set(key, (sums.get(key) ?? 0) + increase);
    }
    // The series of VMs that have stopped keep what they had.
    for (const key of sums.keys()) if (!countedThen.has(key)) sums.delete(key);
    assert.deepEqual(sorted(sums), sorted(countedThen));
  });
});

test('what has no room is in the sums of the VM other, which never fall, and nothing is in both', async () => {
  const host = new Host(randomFrom(3));
  const limiter = new SeriesLimiter({ series: SERIES + VMS * 6, seriesPerVm: 2000, labelLength: 128 });
  const sums: Counts = new Map();
  let most = 0;
  await exportOften(host, { limiter }, (arrived, countedThen) => {
    for (const [key, count] of arrived) {
      if (!key.startsWith('other ')) {
        assert.equal(count, countedThen.get(key), key);
        continue;
      }
      assert.ok(count >= (sums.get(key) ?? 0), key);
      sums.set(key, count);
    }
    const shown = sumOf([...countedThen].filter(([key]) => arrived.has(key)));
    // VMs that have stopped stay in the sums of `other`.
    assert.ok(sumOf(sums) >= sumOf(countedThen) - shown);
    most = Math.max(most, sumOf(sums));
  });
  assert.ok(most > 0);
});

function sumOf(counts: Iterable<readonly [string, number]>): number {
  let sum = 0;
  for (const [, count] of counts) sum += count;
  return sum;
}
