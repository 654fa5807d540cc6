/** Durations of a VM's vCPUs are in one table once it is known whose they are: each is there once, whatever becomes of the threads. */

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
  /** Somebody knows now whose the thread is. */
  | { readonly what: 'tell'; readonly tid: number; readonly vm: number }
  | { readonly what: 'attribute' | 'look' }
  | { readonly what: 'end'; readonly tid: number };

const tid = fc.integer({ min: 1, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('run' as const), tid, ns: fc.integer({ min: 1, max: 1e6 }) }) },
  fc.record({ what: fc.constant('tell' as const), tid, vm: fc.nat({ max: 1 }) }),
  fc.record({ what: fc.constantFrom('attribute' as const, 'look' as const) }),
  fc.record({ what: fc.constant('end' as const), tid }),
);

/** The same, with a list of numbers for each thread. */
class Model {
  readonly owners = new Map<number, ThreadOwner>();
  readonly #found = new Map<number, string>();
  readonly #threads = new Map<number, number[]>();
  readonly #ended = new Map<string, number[]>();

  run(of: number, ns: number): void {
    this.#threads.set(of, [...(this.#threads.get(of) ?? []), ns]);
  }

  /** Of threads that have done something. */
  look(): void {
    for (const of of this.#threads.keys()) {
      const found = this.owners.get(of);
      if (found !== undefined && !this.#found.has(of)) this.#found.set(of, found.vm?.label ?? '');
    }
  }

  end(of: number): void {
    const vm = this.#found.get(of) ?? '';
    this.#ended.set(vm, [...(this.#ended.get(vm) ?? []), ...(this.#threads.get(of) ?? [])]);
    for (const map of [this.#threads, this.#found, this.owners]) map.delete(of);
  }

  /** Count and nanoseconds by VM. */
  sums(): Record<string, [number, number]> {
    this.look();
    const all = [...this.#ended, ...Array.from(this.#threads, ([of, ns]) => [this.#found.get(of) ?? '', ns] as const)];
    const sums: Record<string, [number, number]> = {};
    for (const [vm, list] of all)
      for (const ns of list) sums[vm] = [(sums[vm]?.[0] ?? 0) + 1, (sums[vm]?.[1] ?? 0) + ns];
    return sums;
  }
}

function told(ledger: Ledger): Record<string, [number, number]> {
  const { durations } = takeSnapshot(ledger.totals());
  return Object.fromEntries(durations.map((row) => [row.vm, [row.count, Math.round(row.sumSeconds * 1e9)]]));
}

test('whenever threads are known, end, and their numbers come again: each duration is its VM’s, once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const model = new Model();
      const unknown: ThreadOwner = { vm: undefined, vcpu: '' };
      const ledger = new Ledger({ ownerOf: (of) => model.owners.get(of) ?? unknown });
      const counts = ledger.kernelSource('test');
      const reason = ledger.vocabulary.reasons.id('io');
      let timeNs = 0;
      for (const one of steps) {
        if (one.what === 'run') {
          counts.vmExit(timeNs, 0, one.tid, -1, reason, 0, 0);
          counts.vmEntry(timeNs + one.ns, 0, one.tid, -1);
          timeNs += one.ns + 10;
          model.run(one.tid, one.ns);
        } else if (one.what === 'tell') {
          // A thread's VM is what it is.
          if (!model.owners.has(one.tid)) model.owners.set(one.tid, owner(one.vm, one.tid));
        } else if (one.what === 'end') {
          ledger.endThread(one.tid);
          model.end(one.tid);
        } else if (one.what === 'attribute') {
          ledger.resolveOwners();
          model.look();
        } else assert.deepEqual(told(ledger), model.sums());
      }
      assert.deepEqual(told(ledger), model.sums());
    }),
    { numRuns: 500 },
  );
});
