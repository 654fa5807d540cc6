/**
 * The live agent, in the order of the data:
 *
 *   kernel trace ──┐
 *                  ├─► decoder ─► ledger ─► /metrics
 *   QEMU's traces ─┘                ▲
 *   /proc ─► inventory ─────────────┘ whose thread
 */

import { Ledger } from '../count/ledger.js';
import type { Snapshot, VmInfo } from '../snapshot/snapshot.js';
import { takeSnapshot } from '../snapshot/take-snapshot.js';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { VmWatcher } from '../vm/host/vm-watcher.js';
import { Inventory, type InventoryChanges } from '../vm/inventory.js';

import type { Vm } from '../vm/vm.js';
import { attributionOf } from './attribution.js';
import { DeviceNames } from './device-names.js';
import { KernelFeed } from './kernel-feed.js';
import type { AgentOptions } from './options.js';
import { Pacer } from './pacer.js';
import { QemuFeed } from './qemu-feed.js';
import { Readiness } from './readiness.js';
import { Ticker } from './ticker.js';
import { vmInfosOf } from './vm-infos.js';

const KVM_DEBUGFS = '/sys/kernel/debug/kvm';
const SCAN_MS = 2000;
const RETRY_MS = 2000;

export class Agent {
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  readonly #vmInfos: () => VmInfo[];
  readonly #kernel: KernelFeed;
  readonly #devices: DeviceNames;
  readonly #qemu: QemuFeed | undefined;
  readonly #vmWatcher = new VmWatcher(KVM_DEBUGFS, (pid) => this.#expect(pid));
  readonly #ticks = new Ticker(() => this.#tick());
  readonly #pacer: Pacer;
  readonly #readiness = new Readiness();

  constructor(options: AgentOptions) {
    this.#pacer = new Pacer(options.bufferSize);
    this.inventory = new Inventory({
      procfs: options.procfs,
      live: true,
      debugfs: KVM_DEBUGFS,
      graceMs: options.graceMs,
    });
    this.#devices = new DeviceNames(options.qmp, this.inventory);
    this.#vmInfos = vmInfosOf(this.inventory, { podOf: options.podOf });
    this.ledger = new Ledger(attributionOf(this.inventory, { devicesOf: this.#devices.of }), options);
    const source = (name: string) =>
      this.ledger.kernelSource(name, (tid, tgid, comm) => this.inventory.addThread(tid, tgid, comm));
    this.#kernel = new KernelFeed(options, this.ledger, source, this.#readiness);
    const { logs, simples } = options.qemu;
    if (logs.length + simples.length > 0)
      this.#qemu = new QemuFeed({ ...options, ...options.qemu }, this.ledger, this.inventory);
    else if (!options.kernel && !options.consumeTopLevel)
      throw new AgentError('--no-collector.kernel leaves nothing to read: give --qemu.log or --qemu.simple');
  }

  /** Why the events are not being read - the kernel's, if they are to be; undefined: they are. */
  get notReady(): string | undefined {
    return this.#kernel.isReading ? undefined : this.#readiness.reason || 'the sources are not open yet';
  }

  /**
   * Opens the sources. A host without the kvm module is waited for, and one without tracefs where there are QEMU's own traces to read.
   * @throws AgentError where the rights or the kernel don't allow it; nothing is left behind then
   */
  open(): void {
    this.inventory.scan(performance.now());
    try {
      this.#kernel.open();
    } catch (error) {
      this.#kernel.close();
      if (!(error instanceof AgentError) || this.#qemu === undefined) throw error;
      this.#readiness.for(error.message);
    }
    this.#qemu?.start();
  }

  /** Reads until told to stop, then leaves the host as it was. `atEnd`: all is read, and the sources are still open. */
  async run(signal: AbortSignal, atEnd: () => void = () => {}): Promise<void> {
    const scans = setInterval(() => this.#readiness.attempt(() => this.#scan()), SCAN_MS);
    const retries = setInterval(() => this.#readiness.attempt(() => this.#kernel.watch()), RETRY_MS);
    try {
      this.#vmWatcher.renew();
      await this.#ticks.run(signal);
      this.#drain();
      atEnd();
    } finally {
      clearInterval(scans);
      clearInterval(retries);
      this.close();
    }
  }

  /** All that is known at this moment. */
  snapshot(): Snapshot {
    this.#drain();
    return takeSnapshot(this.ledger.totals(), this.#vmInfos());
  }

  /** @throws AgentError where the host can't be left as it was */
  close(): void {
    this.#vmWatcher.close();
    this.#devices.stop();
    this.#qemu?.stop();
    this.#kernel.close();
  }

  /** Returns the pause until the next. */
  #tick(): number {
    const nowMs = performance.now();
    this.#readiness.attempt(() => this.#learn(this.inventory.checkNewProcesses(nowMs)));
    if (this.#vmWatcher.isWatching) this.#pacer.watching();
    else this.#pacer.idleFor(this.inventory.idleMs(nowMs));
    if (this.#pacer.isDue(performance.now())) this.#drain();
    return this.#pacer.pauseMs;
  }

  #drain(): void {
    const { mostBytes, behind } = this.#kernel.drain();
    this.#readiness.attempt(() => this.#identify());
    this.#pacer.drained(mostBytes, behind, performance.now());
  }

  /** Looks up whose the threads are that were seen for the first time, at once: they may not live long. */
  #identify(): void {
    const newcomers = this.#kernel.takeNewThreads();
    for (const tid of newcomers) this.inventory.requestLookup(tid, true);
    this.#learn(this.inventory.resolvePending(performance.now()));
    if (newcomers.length > 0) this.ledger.resolveOwners();
  }

  /** This process makes a VM just now, whose vCPUs have not run yet. */
  #expect(pid: number): void {
    this.inventory.expectVm(pid, performance.now());
    this.#ticks.wakeNow();
  }

  #scan(): void {
    this.#vmWatcher.renew();
    for (const tid of this.ledger.resolveOwners()) this.inventory.requestLookup(tid, true);
    this.#learn(this.inventory.scan(performance.now()));
    this.#learn(this.inventory.resolvePending(performance.now()));
    this.#qemu?.scan();
    this.#devices.scan(performance.now());
    this.ledger.resolveOwners();
    this.ledger.mergeIdleThreads(performance.now());
    this.#kernel.openNewCpus();
  }

  /** What changed among the VMs, for the counters. */
  #learn({ started, stopped, forgotten, freedTids }: InventoryChanges): void {
    for (const tid of freedTids) this.ledger.endThread(tid);
    for (const vm of forgotten) this.#forget(vm);
    for (const vm of stopped) log('info', 'VM stopped', { vm: vm.label, pid: vm.pid });
    for (const vm of started) {
      this.#pacer.wakeSoon();
      log('info', 'VM started', { vm: vm.label, pid: vm.pid, vmm: vm.vmm, uuid: vm.uuid });
      this.#qemu?.restarted(vm);
    }
  }

  #forget(vm: Vm): void {
    this.ledger.forget(vm);
    this.#qemu?.forget(vm);
  }
}
