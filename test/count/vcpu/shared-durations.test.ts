/** The vCPUs of a VM share one table of durations once their VM is known. Each duration must be in it exactly once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ledger } from '../../../src/count/ledger.js';
import type { ThreadOwner } from '../../../src/count/thread-owners.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const VMS = [{ label: 'vm-0' }, { label: 'vm-1' }];
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
  readonly owners = new Map<number, ThreadOwner>();
  readonly #found = new Map<number, string>();
  readonly #threads = new Map<number, number[]>();
  readonly #ended = new Map<string, number[]>();

  run(tid: number, ns: number): void {
    this.#threads.set(tid, [...(this.#threads.get(tid) ?? []), ns]);
  }

  /** Looks up the VM of every thread that has a duration. */
  resolve(): void {
    for (const tid of this.#threads.keys()) {
      const found = this.owners.get(tid);
      if (found !== undefined && !this.#found.has(tid)) this.#found.set(tid, found.vm?.label ?? '');
    }
  }

  end(tid: number): void {
    const vm = this.#found.get(tid) ?? '';
    this.#ended.set(vm, [...(this.#ended.get(vm) ?? []), ...(this.#threads.get(tid) ?? [])]);
    for (const map of [this.#threads, this.#found, this.owners]) map.delete(tid);
  }

  /** Number and sum in nanoseconds of the durations by VM. */
  sums(): Record<string, [number, number]> {
    this.resolve();
    const all = [
      ...this.#ended,
      ...Array.from(this.#threads, ([tid, ns]) => [this.#found.get(tid) ?? '', ns] as const),
    ];
    const sums: Record<string, [number, number]> = {};
    for (const [vm, list] of all)
      for (const ns of list) sums[vm] = [(sums[vm]?.[0] ?? 0) + 1, (sums[vm]?.[1] ?? 0) + ns];
    return sums;
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
      const unknown: ThreadOwner = { vm: undefined, vcpu: '' };
      const ledger = new Ledger({ ownerOf: (tid) => model.owners.get(tid) ?? unknown });
      const counts = ledger.kernelSource('test');
      const reason = ledger.vocabulary.reasons.id('io');
      let timeNs = 0;
      for (const step of steps) {
        if (step.what === 'run') {
          counts.vmExit(timeNs, 0, step.tid, -1, reason, 0, 0);
          counts.vmEntry(timeNs + step.ns, 0, step.tid, -1);
          timeNs += step.ns + 10;
          model.run(step.tid, step.ns);
        } else if (step.what === 'learn') {
          // A thread never changes its VM.
          if (!model.owners.has(step.tid)) model.owners.set(step.tid, owner(step.vm, step.tid));
        } else if (step.what === 'end') {
          ledger.endThread(step.tid);
          model.end(step.tid);
        } else if (step.what === 'resolve') {
          ledger.resolveOwners();
          model.resolve();
        } else assert.deepEqual(shown(ledger), model.sums());
      }
      assert.deepEqual(shown(ledger), model.sums());
    }),
    { numRuns: 500 },
  );
});
