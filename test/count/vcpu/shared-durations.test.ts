/** The vCPUs of a VM share one table of durations once their VM is known. Each duration must be in it exactly once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ledger } from '../../../src/count/ledger.js';
import type { ThreadOwner } from '../../../src/count/thread-owners.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const VMS = [{ label: 'vm-0' }, { label: 'vm-1' }];
const UNKNOWN: ThreadOwner = { vm: undefined, vcpu: '' };
const owner = (vm: number, vcpu: number): ThreadOwner => ({ vm: VMS[vm], vcpu: String(vcpu) });

type Step =
  | { readonly what: 'run'; readonly tid: number; readonly ns: number }
  /** From now on the attribution knows the thread's VM. */
  | { readonly what: 'learn'; readonly tid: number; readonly vm: number }
  | { readonly what: 'resolve' | 'check' }
  | { readonly what: 'end'; readonly tid: number };

const anyTid = fc.integer({ min: 1, max: 4 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ what: fc.constant('run' as const), tid: anyTid, ns: fc.integer({ min: 1, max: 1e6 }) }),
  },
  fc.record({ what: fc.constant('learn' as const), tid: anyTid, vm: fc.nat({ max: 1 }) }),
  fc.record({ what: fc.constantFrom('resolve' as const, 'check' as const) }),
  fc.record({ what: fc.constant('end' as const), tid: anyTid }),
);

/** The expected behaviour, with a list of durations for each thread. */
class Model {
  readonly #owners = new Map<number, ThreadOwner>();
  readonly #threads = new Map<number, number[]>();
  /** Threads whose durations were shown without a VM: so are later ones, until a look-up finds the VM. */
  readonly #shownWithoutVm = new Set<number>();
  /** Durations that do not change their VM any more. */
  readonly #kept = new Map<string, number[]>();
  /** Earlier threads with an id: their owners, and the time of their latest event. */
  readonly #lives: { readonly tid: number; readonly untilMs: number; readonly owner: ThreadOwner }[] = [];

  ownerOf(tid: number, atMs: number): ThreadOwner {
    const earlier = this.#lives.find((life) => life.tid === tid && atMs <= life.untilMs);
    return earlier?.owner ?? this.#owners.get(tid) ?? UNKNOWN;
  }

  run(tid: number, ns: number): void {
    this.#threads.set(tid, [...(this.#threads.get(tid) ?? []), ns]);
  }

  /** A thread never changes its VM. */
  learn(tid: number, owner: ThreadOwner): void {
    if (!this.#owners.has(tid)) this.#owners.set(tid, owner);
  }

  end(tid: number, untilMs: number): void {
    this.#lives.push({ tid, untilMs, owner: this.#owners.get(tid) ?? UNKNOWN });
    this.#keep(tid);
    this.#owners.delete(tid);
    this.#threads.delete(tid);
    this.#shownWithoutVm.delete(tid);
  }

  /** Looks up the VMs of threads. */
  resolve(): void {
    for (const tid of this.#shownWithoutVm) {
      if (!this.#owners.has(tid)) continue;
      this.#keep(tid);
      this.#shownWithoutVm.delete(tid);
    }
  }

  /** Number and sum in nanoseconds of the durations by VM. */
  sums(): Record<string, [number, number]> {
    this.resolve();
    for (const tid of [...this.#threads.keys()]) {
      if (!this.#owners.has(tid)) this.#shownWithoutVm.add(tid);
      this.#keep(tid);
    }
    const sums: Record<string, [number, number]> = {};
    for (const [vm, list] of this.#kept)
      if (list.length > 0) sums[vm] = [list.length, list.reduce((sum, ns) => sum + ns, 0)];
    return sums;
  }

  #keep(tid: number): void {
    const vm = (this.#shownWithoutVm.has(tid) ? undefined : this.#owners.get(tid)?.vm?.label) ?? '';
    this.#kept.set(vm, [...(this.#kept.get(vm) ?? []), ...(this.#threads.get(tid) ?? [])]);
    this.#threads.set(tid, []);
  }
}

function shown(ledger: Ledger): Record<string, [number, number]> {
  const { durations } = takeSnapshot(ledger.totals());
  return Object.fromEntries(durations.map((row) => [row.vm, [row.count, Math.round(row.sumSeconds * 1e9)]]));
}

test('each duration counts once for its VM, in whatever order threads become known, end, and reuse a thread id', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60, size: 'max' }), (steps) => {
      const model = new Model();
      const ledger = new Ledger({ ownerOf: (tid, atMs) => model.ownerOf(tid, atMs) });
      const counts = ledger.kernelSource('test');
      counts.clockOffsetMs = 0;
      const reason = ledger.vocabulary.reasons.id('io');
      let timeNs = 0;
      for (const step of steps) {
        if (step.what === 'run') {
          counts.vmExit(timeNs, 0, step.tid, -1, reason, 0);
          counts.vmEntry(timeNs + step.ns, 0, step.tid, -1);
          timeNs += step.ns + 10;
          model.run(step.tid, step.ns);
        } else if (step.what === 'learn') model.learn(step.tid, owner(step.vm, step.tid));
        else if (step.what === 'end') {
          model.end(step.tid, counts.lastEventMs(step.tid));
          ledger.endThread(step.tid);
        } else if (step.what === 'resolve') {
          model.resolve();
          ledger.resolveOwners(0);
        } else assert.deepEqual(shown(ledger), model.sums());
      }
      assert.deepEqual(shown(ledger), model.sums());
    }),
    { numRuns: 500 },
  );
});
