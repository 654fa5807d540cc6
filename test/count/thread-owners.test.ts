/** A thread whose VM or vCPU becomes known late: no counter falls, and nothing is lost or mixed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ledger } from '../../src/count/ledger.js';
import type { ThreadOwner, VmIdentity } from '../../src/count/thread-owners.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';

const IO = 'KVM_EXIT_IO';
/** Longer than counts are withheld. */
const LONG_MS = 10_000;

/** A thread that had an id for some time, as it really was. */
interface Life {
  readonly tid: number;
  readonly vm: VmIdentity;
  readonly vcpu: number;
  readonly sinceMs: number;
  untilMs: number;
  /** What the attribution knows of it. */
  knowsVm: boolean;
  knowsVcpu: boolean;
  exits: number;
}

/** Threads that start, run a vCPU and end, and the ledger that counts their events. */
class Host {
  readonly lives: Life[] = [];
  /** Number of scans; undefined if the attribution does not count them. */
  scans: number | undefined;
  readonly ledger = new Ledger({
    ownerOf: (tid, atMs) => this.#ownerOf(tid, atMs),
    scans: () => this.scans ?? Number.POSITIVE_INFINITY,
  });
  readonly #kernel = this.ledger.kernelSource('tracefs', undefined, { onStart() {}, onEnd() {} });
  nowMs = 0;

  constructor() {
    this.#kernel.clockOffsetMs = 0;
  }

  start(tid: number, vm: VmIdentity, vcpu: number): void {
    const untilMs = Number.POSITIVE_INFINITY;
    this.lives.push({ tid, vm, vcpu, sinceMs: this.nowMs, untilMs, knowsVm: false, knowsVcpu: false, exits: 0 });
  }

  living(tid: number): Life | undefined {
    return this.lives.find((life) => life.tid === tid && life.untilMs === Number.POSITIVE_INFINITY);
  }

  /** The thread leaves its guest; the event may name the vCPU. */
  run(tid: number, namesVcpu: boolean): void {
    const life = this.living(tid);
    if (life === undefined) return;
    this.nowMs++;
    life.exits++;
    const reason = this.ledger.vocabulary.reasons.id(IO);
    if (namesVcpu) this.#kernel.vmEntry(this.nowMs * 1e6 - 1, 0, tid, life.vcpu);
    this.#kernel.userspaceExit(this.nowMs * 1e6, 0, tid, reason);
  }

  end(tid: number): void {
    const life = this.living(tid);
    if (life === undefined) return;
    this.nowMs++;
    life.untilMs = this.nowMs;
    this.#kernel.threadExit(this.nowMs * 1e6, 0, tid);
  }

  /** `vm vcpu` -> exits shown. */
  shown(nowMs = this.nowMs): Map<string, number> {
    const { exits } = takeSnapshot(this.ledger.totals(nowMs));
    return new Map(exits.map(({ vm, vcpu, count }) => [`${vm} ${vcpu}`, count]));
  }

  #ownerOf(tid: number, atMs: number): ThreadOwner {
    const life = this.lives.find((one) => one.tid === tid && one.sinceMs <= atMs && atMs <= one.untilMs);
    return {
      vm: life?.knowsVm === true ? life.vm : undefined,
      vcpu: life?.knowsVcpu === true ? String(life.vcpu) : '',
    };
  }
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0);

const VMS: readonly VmIdentity[] = [{ label: 'a' }, { label: 'b' }];
const tid = fc.integer({ min: 1, max: 3 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ what: fc.constant('run' as const), tid, namesVcpu: fc.boolean() }),
    },
    fc.record({ what: fc.constant('start' as const), tid, index: fc.nat({ max: 1 }) }),
    fc.record({ what: fc.constantFrom('end' as const, 'learn VM' as const, 'learn vCPU' as const), tid }),
    fc.record({
      what: fc.constantFrom('show' as const, 'resolve' as const),
      afterMs: fc.constantFrom(0, 100, LONG_MS),
    }),
  ),
  { maxLength: 80, size: 'max' },
);

test('no counter falls, nothing is lost, and no exit is shown under another VM', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const host = new Host();
      let before = new Map<string, number>();
      const check = (shown: Map<string, number>) => {
        for (const [series, count] of before) assert.ok((shown.get(series) ?? 0) >= count, `${series} fell`);
        for (const { label } of VMS) {
          const ofVm = [...shown].filter(([series]) => series.startsWith(`${label} `)).map(([, count]) => count);
          const real = sum(host.lives.filter(({ vm }) => vm.label === label).map(({ exits }) => exits));
          assert.ok(sum(ofVm) <= real, `${label}: ${sum(ofVm)} shown, ${real} happened`);
        }
        before = shown;
      };
      for (const step of all) {
        if (step.what === 'run') host.run(step.tid, step.namesVcpu);
        else if (step.what === 'end') host.end(step.tid);
        else if (step.what === 'start') {
          host.end(step.tid);
          host.nowMs++;
          host.start(step.tid, VMS[step.index] ?? { label: '' }, step.index);
        } else if ('afterMs' in step) {
          host.nowMs += step.afterMs;
          if (step.what === 'show') check(host.shown());
          else host.ledger.resolveOwners(host.nowMs);
        } else {
          const life = host.living(step.tid);
          if (life !== undefined) life[step.what === 'learn VM' ? 'knowsVm' : 'knowsVcpu'] = true;
        }
      }
      check(host.shown(Number.POSITIVE_INFINITY));
      assert.equal(sum(before.values()), sum(host.lives.map(({ exits }) => exits)));
    }),
    { numRuns: 1000 },
  );
});

test('a thread that ends after all its counts were shown without a VM leaves no owner to the next one', () => {
  const host = new Host();
  host.start(7, { label: 'a' }, 0);
  host.run(7, false);
  host.shown();
  host.nowMs += LONG_MS;
  assert.deepEqual([...host.shown()], [[' ', 1]]);
  Object.assign(host.lives[0] ?? {}, { knowsVm: true });
  host.shown();
  host.end(7);
  host.nowMs++;
  host.start(7, { label: 'b' }, 1);
  Object.assign(host.lives[1] ?? {}, { knowsVm: true, knowsVcpu: true });
  host.run(7, false);
  host.run(7, false);
  assert.deepEqual(
    host.shown(),
    new Map([
      [' ', 1],
      ['b 1', 2],
    ]),
  );
});

test('a thread that is known soon is shown under its VM from its first exit on', () => {
  const host = new Host();
  host.start(7, { label: 'a' }, 3);
  for (let exits = 0; exits < 10; exits++) host.run(7, false);
  assert.deepEqual([...host.shown()], [], 'its VM may become known');
  Object.assign(host.lives[0] ?? {}, { knowsVm: true });
  host.nowMs += 1000;
  assert.deepEqual([...host.shown()], [], 'its vCPU may become known');
  Object.assign(host.lives[0] ?? {}, { knowsVcpu: true });
  assert.deepEqual([...host.shown()], [['a 3', 10]]);
});

test('a thread that becomes known too late keeps what was shown without a VM, and counts on under its VM', () => {
  const host = new Host();
  host.start(7, { label: 'a' }, 3);
  host.run(7, false);
  host.shown();
  host.nowMs += LONG_MS;
  assert.deepEqual([...host.shown()], [[' ', 1]]);
  Object.assign(host.lives[0] ?? {}, { knowsVm: true, knowsVcpu: true });
  host.shown();
  host.run(7, false);
  assert.deepEqual(
    new Map(host.shown()),
    new Map([
      [' ', 1],
      ['a 3', 1],
    ]),
  );
});

test('a number that an event names after the counts were shown is another series', () => {
  const host = new Host();
  host.start(7, { label: 'a' }, 3);
  Object.assign(host.lives[0] ?? {}, { knowsVm: true });
  host.run(7, false);
  host.shown();
  host.nowMs += LONG_MS;
  assert.deepEqual([...host.shown()], [['a ', 1]]);
  host.run(7, true);
  host.run(7, false);
  assert.deepEqual(
    host.shown(),
    new Map([
      ['a 3', 2],
      ['a ', 1],
    ]),
  );
});

test('the exits of two threads with one id belong to the VM of each, even in one drain', () => {
  const host = new Host();
  host.start(7, { label: 'a' }, 0);
  for (let exits = 0; exits < 5; exits++) host.run(7, false);
  host.end(7);
  host.nowMs++;
  host.start(7, { label: 'b' }, 1);
  for (let exits = 0; exits < 3; exits++) host.run(7, false);
  for (const life of host.lives) Object.assign(life, { knowsVm: true, knowsVcpu: true });
  assert.deepEqual(
    host.shown(),
    new Map([
      ['a 0', 5],
      ['b 1', 3],
    ]),
  );
});

for (const isAlive of [true, false])
  test(`counts wait for two scans, however long a busy host takes (thread ${isAlive ? 'lives' : 'has ended'})`, () => {
    const host = new Host();
    host.scans = 7;
    host.start(7, { label: 'a' }, 3);
    host.run(7, false);
    if (!isAlive) host.end(7);
    for (host.scans of [7, 8]) {
      host.nowMs += 20 * LONG_MS;
      assert.deepEqual([...host.shown()], [], `${host.scans}`);
    }
    Object.assign(host.lives[0] ?? {}, { knowsVm: true, knowsVcpu: true });
    assert.deepEqual([...host.shown()], [['a 3', 1]]);
  });

test('a thread that two scans did not find has no VM', () => {
  const host = new Host();
  host.scans = 7;
  host.start(7, { label: 'a' }, 3);
  host.run(7, false);
  host.shown();
  host.nowMs += LONG_MS;
  host.scans += 2;
  assert.deepEqual([...host.shown()], [[' ', 1]]);
});
