/** A day of VMs that start and stop, in seconds: memory must depend on the VMs that run, not on those that have run. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ledger } from '../../src/count/ledger.js';
import type { Attribution, ThreadOwner, VmIdentity } from '../../src/count/thread-owners.js';
import { SeriesLimiter } from '../../src/snapshot/series-limiter.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import type { VmInfo } from '../../src/snapshot/tables/vms.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { collectGarbage } from '../support/collect-garbage.js';

const UNKNOWN: ThreadOwner = { vm: undefined, vcpu: '' };
const VCPUS = 4;
/** VMs that run at a time. */
const RUNNING = 20;
/** pid_max of the host: thread ids are reused. */
const PID_MAX = 32_768;

interface Vm {
  readonly info: VmInfo;
  readonly identity: VmIdentity;
  readonly tids: readonly number[];
}

/** A host on which VMs start and stop, and the ledger that counts its events. */
class Host {
  readonly #threads = new Map<number, ThreadOwner>();
  readonly #vms: Vm[] = [];
  readonly ledger: Ledger;
  readonly #kernel;
  readonly #reasons: readonly number[];
  #tid = 1000;
  #names = 0;
  timeNs = 0;

  constructor() {
    const attribution: Attribution = {
      ownerOf: (tid) => this.#threads.get(tid) ?? UNKNOWN,
    };
    this.ledger = new Ledger(attribution);
    this.#kernel = this.ledger.kernelSource('tracefs');
    this.#reasons = ['io', 'hlt', 'npf', 'KVM_EXIT_IO'].map((name) => this.ledger.vocabulary.reasons.id(name));
  }

  snapshot(): Snapshot {
    return takeSnapshot(
      this.ledger.totals(),
      this.#vms.map(({ info }) => info),
    );
  }

  /** Starts a VM, runs all VMs, then stops and forgets the oldest one, whose worker thread has started and ended. */
  step(): void {
    const vm = `vm-${this.#names++}`;
    const identity = { label: vm };
    const tids = Array.from({ length: VCPUS + 1 }, () => this.#newTid());
    for (const [vcpu, tid] of tids.entries())
      this.#threads.set(tid, { vm: identity, vcpu: vcpu < VCPUS ? String(vcpu) : '' });
    this.#vms.push({
      info: vmInfo({ vm, uuid: vm, pid: String(tids[0]), vcpus: VCPUS }),
      identity,
      tids,
    });
    for (const { tids: all } of this.#vms)
      for (const [vcpu, tid] of all.entries()) if (vcpu < VCPUS) this.#run(tid, vcpu);
    this.#work(this.#vms[0]);
    this.#runUnknownThreads();
    this.#kernel.threads.takeNew();
    this.ledger.resolveOwners(this.timeNs / 1e6);
    this.ledger.mergeIdleThreads(this.timeNs / 1e6);
    if (this.#vms.length > RUNNING) this.#stop();
  }

  #run(tid: number, vcpu: number): void {
    const [io = 0, hlt = 0, npf = 0, exitIo = 0] = this.#reasons;
    for (const reason of [io, hlt, npf]) {
      this.timeNs += 1000;
      this.#kernel.vmExit(this.timeNs, 0, tid, vcpu, reason, 0);
      if (reason === io) {
        this.#kernel.portIo(this.timeNs, 0, tid, true, 0x3f8 + (vcpu % 4), 1);
        this.#kernel.userspaceExit(this.timeNs + 100, 0, tid, exitIo);
      }
      this.#kernel.vmEntry(this.timeNs + 500, 0, tid, vcpu);
    }
  }

  /** A worker thread of the VM injects an interrupt and ends. */
  #work(vm: Vm | undefined): void {
    if (vm === undefined) return;
    const tid = this.#newTid();
    this.#threads.set(tid, { vm: vm.identity, vcpu: '' });
    this.#kernel.interrupt(this.timeNs, 0, tid);
    this.ledger.resolveOwners(this.timeNs / 1e6);
    this.#threads.delete(tid);
    this.ledger.endThread(tid);
  }

  /** A VM that ends before its threads are looked up, and a process that an interrupt happens to hit. */
  #runUnknownThreads(): void {
    this.#run(this.#newTid(), 0);
    this.#kernel.interrupt(this.timeNs, 0, this.#newTid());
    // The next step is five seconds later.
    this.timeNs += 5e9;
  }

  #stop(): void {
    const oldest = this.#vms.shift();
    if (oldest === undefined) return;
    for (const tid of oldest.tids) {
      this.#threads.delete(tid);
      this.ledger.endThread(tid);
    }
    this.ledger.forget(oldest.identity);
  }

  #newTid(): number {
    this.#tid = this.#tid >= PID_MAX ? 1000 : this.#tid + 1;
    return this.#tid;
  }
}

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

describe('a day of VMs that start and stop', () => {
  it('leaves no memory in use', () => {
    const host = new Host();
    const limiter = new SeriesLimiter();
    const rounds = (count: number) => {
      for (let i = 0; i < count; i++) {
        host.step();
        if (i % 3 === 0) limiter.apply(host.snapshot());
      }
    };
    rounds(1000);
    const early = heapBytes();
    // 17,280 VMs in all: one every five seconds of a day.
    rounds(16_280);
    const late = heapBytes();
    assert.ok(late - early < 1 << 20, `${early} bytes after an hour and a half, ${late} after a day`);
  });

  it('does not keep the command lines that VM names were cut from', () => {
    const limiter = new SeriesLimiter();
    const show = (n: number) => {
      // In V8 a part of a string keeps the whole string alive.
      const vm = Buffer.alloc(100_000, `instance-${String(n).padStart(8, '0')} `)
        .toString('latin1')
        .slice(0, 17);
      limiter.apply({ ...emptySnapshot(), unpaired: [{ vm, layer: 'kvm', count: 1 }] });
    };
    show(0);
    const early = heapBytes();
    for (let n = 1; n <= 200; n++) show(n);
    const late = heapBytes();
    assert.ok(late - early < 2 << 20, `${late - early} bytes more`);
  });

  it('keeps the counts of unknown threads, merged into one', () => {
    const host = new Host();
    for (let i = 0; i < 100; i++) host.step();
    const snapshot = host.snapshot();
    const unknown = snapshot.exits.filter(({ vm }) => vm === '');
    assert.equal(
      unknown.filter(({ layer }) => layer === 'kvm').reduce((sum, { count }) => sum + count, 0),
      3 * 100,
    );
    assert.equal(
      unknown.filter(({ layer }) => layer === 'qemu').reduce((sum, { count }) => sum + count, 0),
      100,
    );
    const unknownInterrupts = [...snapshot.eventfds].find(({ vm, kind }) => vm === '' && kind === 'irqfd');
    assert.equal(unknownInterrupts?.count, 100);
    const tids = new Set([...host.ledger.vcpus()].map(({ tid }) => tid));
    // Unknown threads of the last minute, and one for all before them.
    assert.ok(tids.size < (RUNNING + 1) * VCPUS + 20, `${tids.size} threads`);
  });

  it('keeps the counts of threads that have ended', () => {
    const host = new Host();
    for (let i = 0; i < RUNNING; i++) host.step();
    const interrupts = [...host.snapshot().eventfds].find(({ vm, kind }) => vm === 'vm-0' && kind === 'irqfd');
    assert.equal(interrupts?.count, RUNNING);
  });
});
