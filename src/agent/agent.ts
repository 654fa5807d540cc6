/**
 * The live agent, in the order of the data:
 *
 *   kernel trace ──┐
 *                  ├─► decoder ─► ledger ─► snapshot
 *   QEMU's traces ─┘                ▲
 *   /proc ─► inventory ─────────────┘ owner of each thread
 */
import { Ledger } from '../count/ledger.js';
import { finish, type Steps } from '../count/stepwise.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { SnapshotAtWork } from '../snapshot/snapshot-at-work.js';
import type { VmInfo } from '../snapshot/tables/vms.js';
import { snapshotSteps } from '../snapshot/take-snapshot.js';
import { AgentError } from '../system/errors.js';
import { everyBeat } from '../system/timers/beat.js';
import { KVM_DEBUGFS } from '../vm/host/debugfs.js';
import { VmWatcher } from '../vm/host/vm-watcher.js';
import { Inventory } from '../vm/inventory.js';
import { SocketSpeakers } from '../vm/sockets/socket-speakers.js';
import { UsageRounds } from '../vm/usage/usage-rounds.js';
import { attributionOf, vcpuThreadsOf } from './attribution.js';
import { DeviceNames } from './device-names.js';
import { KernelFeed } from './kernel-feed.js';
import { KNOWN_NAMES } from './known-names.js';
import { newSampler } from './new-sampler.js';
import type { AgentOptions } from './options.js';
import { Pacer } from './pace/pacer.js';
import { ScanTurns } from './pace/scan-turns.js';
import { Ticker } from './pace/ticker.js';
import { QemuFeed } from './qemu-feed.js';
import { Readiness } from './readiness.js';
import type { WindowSampler } from './sampling/window-sampler.js';
import { AuditFeed } from './statistics/audit-feed.js';
import { StatisticsFeed } from './statistics/statistics-feed.js';
import { vmInfosOf } from './vm-infos.js';
import { VmTracker } from './vm-tracker.js';

const SCAN_MS = 2000;
/** Longest time of a tick that reading the usage of vCPU threads takes. */
const USAGE_BUDGET_MS = 10;
/** Pause between ticks while a snapshot is being taken. */
const SNAPSHOT_PAUSE_MS = 5;

export class Agent {
  readonly ledger: Ledger;
  readonly #inventory: Inventory;
  readonly #vmInfos: () => VmInfo[];
  readonly #tracker: VmTracker;
  readonly #kernel: KernelFeed;
  readonly #devices: DeviceNames;
  readonly #qemu: QemuFeed | undefined;
  readonly #statistics: StatisticsFeed | undefined;
  readonly #audit: AuditFeed | undefined;
  readonly #sampler: WindowSampler | undefined;
  readonly #usage: UsageRounds;
  readonly #vmWatcher = new VmWatcher(KVM_DEBUGFS, (tids) => this.#expectVms(tids));
  readonly #ticker = new Ticker(() => this.#tick());
  readonly #pacer: Pacer;
  readonly #readiness = new Readiness();
  readonly #snapshot = new SnapshotAtWork();
  readonly #scanTurns = new ScanTurns(performance.now());
  /** Time until which all events are counted; undefined if no trace is read. */
  #countedToMs: number | undefined;
  #isEnding = false;

  /** @throws AgentError if the options contradict each other, or the list of QEMU's events cannot be read */
  constructor(options: AgentOptions) {
    const { procfs, graceMs, qmp, podOf, statistics } = options;
    this.#pacer = new Pacer(options.bufferSize);
    const trustsCommandLines = !options.kernel;
    const inventory = new Inventory({ procfs, live: true, debugfs: KVM_DEBUGFS, trustsCommandLines, graceMs });
    this.#inventory = inventory;
    const speakers = new SocketSpeakers(inventory, procfs);
    this.#devices = new DeviceNames(qmp, inventory, speakers);
    this.#vmInfos = vmInfosOf(inventory, { podOf });
    this.ledger = new Ledger(attributionOf(inventory, { devicesOf: this.#devices.of }), {
      ...options,
      isSampled: options.kernel && options.sampling !== undefined,
      knownNames: KNOWN_NAMES,
    });
    const newSource = (name: string) =>
      this.ledger.kernelSource(name, (tid, tgid, comm) => inventory.addThread(tid, tgid, comm), {
        onStart: (tid, started, atMs) => inventory.startThread(tid, started, atMs),
        onEnd: (tid, atMs) => inventory.endThread(tid, atMs),
      });
    const onWrite = () => this.#drainNow();
    this.#kernel = new KernelFeed(options, this.ledger, newSource, this.#readiness, onWrite);
    this.#usage = new UsageRounds(procfs, {
      threads: () => vcpuThreadsOf(inventory, this.ledger),
      needsTicks: (tid) => !this.ledger.provesTime(tid),
      add: (tid, usage, countedToMs) => this.ledger.addUsage(tid, usage, countedToMs),
    });
    const { logs, simples } = options.qemu;
    if (logs.length + simples.length > 0)
      this.#qemu = new QemuFeed({ ...options, ...options.qemu }, this.ledger, inventory);
    else if (!options.kernel && !options.consumeTopLevel && statistics === undefined)
      throw new AgentError(
        '--no-collector.kernel and --no-collector.kvm-stats leave nothing to read: leave one out, or give --qemu.log or --qemu.simple',
      );
    if (statistics !== undefined) {
      if (options.kernel)
        this.#audit = new AuditFeed(this.ledger.kernelExits, () => this.#drain() && this.#kernel.isReading, {
          isSampled: options.sampling !== undefined,
        });
      const feedOptions = { ...statistics, debugfs: KVM_DEBUGFS, qmp, speakers, audit: this.#audit };
      this.#statistics = new StatisticsFeed(feedOptions, inventory, this.ledger.statistics);
    }
    this.#sampler = newSampler(options, {
      kernel: this.#kernel,
      ledger: this.ledger,
      inventory,
      onSwitch: () => this.#ticker.wakeNow(),
      drain: () => this.#drain(),
      readStatistics: () => this.readStatistics(),
    });
    this.#tracker = new VmTracker(inventory, this.ledger, {
      onStarted: (vm) => {
        this.#pacer.wakeSoon();
        this.#qemu?.restarted(vm);
      },
      onForgotten: (vm) => this.#qemu?.forget(vm),
    });
  }

  /** Reason why the agent is not ready; undefined once the requested sources are being read. */
  get notReady(): string | undefined {
    return this.#kernel.isReading ? undefined : this.#readiness.reason || 'the sources are not open yet';
  }

  /**
   * Opens the sources. Waits for the kvm module if it is not loaded, and for tracefs if there are traces of QEMU to
   * read meanwhile.
   * @throws AgentError if the rights or the kernel do not allow it; the host is unchanged then
   */
  open(): void {
    this.#inventory.scan(performance.now());
    try {
      this.#kernel.open();
    } catch (error) {
      this.#kernel.close();
      if (!(error instanceof AgentError) || this.#qemu === undefined) throw error;
      this.#readiness.wait(error.message);
    }
    this.#qemu?.start();
    this.#statistics?.start();
  }

  /**
   * Reads until the signal is aborted, then leaves the host as it was. `atEnd` runs after the last drain, before
   * sources are closed.
   */
  async run(signal: AbortSignal, atEnd: () => void = () => {}): Promise<void> {
    const stopScans = everyBeat(SCAN_MS, () => this.#scan());
    try {
      this.#vmWatcher.renew();
      await Promise.race([this.#ticker.run(signal), failureOf(this.#sampler?.run())]);
      this.#sampler?.stop();
      this.#isEnding = true;
      this.#qemu?.settle();
      this.#drain();
      atEnd();
    } finally {
      stopScans();
      this.close();
    }
  }

  /** Reads KVM's own statistics of all VMs now. */
  async readStatistics(): Promise<void> {
    await this.#statistics?.read();
  }

  /** Everything that is known at this moment. `isExported`: see {@link TakeSnapshot}. */
  snapshot(isExported = true): Snapshot {
    return finish(this.snapshotSteps(isExported));
  }

  /** The same in steps. Between two of them nothing is drained, unless that cannot wait. */
  *snapshotSteps(isExported = true): Steps<Snapshot> {
    this.#drain(true);
    return yield* this.#snapshot.take(this.#snapshotOfNow(isExported), performance.now());
  }

  /** A number that stays the same while the figures of all VMs do; undefined: they may change at any time. */
  get changes(): number | undefined {
    return this.#isEmpty && this.#sampler === undefined ? this.#kernel.vmEvents : undefined;
  }

  /** @throws AgentError if the host cannot be left as it was */
  close(): void {
    this.#vmWatcher.close();
    this.#devices.stop();
    this.#statistics?.stop();
    this.#sampler?.stop();
    this.#qemu?.stop();
    this.#kernel.close();
  }

  /** True if no VM is known, and no file of a VM is read. */
  get #isEmpty(): boolean {
    return this.#qemu === undefined && this.#inventory.vms().length === 0;
  }

  /** True if a watcher reports VMs that come and go, and no files are looked for. */
  get #hasReportedChanges(): boolean {
    return this.#vmWatcher.isWatching && this.#qemu === undefined;
  }

  /** Returns the pause until the next tick, in milliseconds. */
  #tick(): number {
    const nowMs = performance.now();
    if (this.#snapshot.isTaken(nowMs)) return SNAPSHOT_PAUSE_MS;
    const { isWatching } = this.#vmWatcher;
    this.#readiness.attempt(() => this.#tracker.checkNewProcesses(nowMs, isWatching));
    if (isWatching) this.#pacer.watching(this.#inventory.hasRunningVms, this.#kernel.recordsRareEvents);
    else this.#pacer.idleFor(this.#inventory.idleMs(nowMs));
    if (this.#pacer.isDue(performance.now())) this.#drain(false, this.#pacer.isQuiet);
    return this.#pacer.pauseMs;
  }

  /** Returns false if events were left for the next drain. */
  #drain(forSnapshot = false, isQuiet = false): boolean {
    this.#snapshot.finish();
    const { mostBytes, behind, countedToMs } = this.#kernel.drain(isQuiet);
    this.#countedToMs = countedToMs;
    const newThreads = this.#kernel.takeNewThreads();
    if (newThreads.length > 0) this.#scanTurns.stir(performance.now());
    this.#readiness.attempt(() => this.#tracker.resolve(newThreads, performance.now()));
    this.#readiness.attempt(() => this.#usage.read(countedToMs, USAGE_BUDGET_MS, forSnapshot));
    if (this.#inventory.hasPending) this.#pacer.wakeSoon();
    this.#pacer.drained(mostBytes, behind, performance.now());
    return !behind;
  }

  *#snapshotOfNow(isExported: boolean): Steps<Snapshot> {
    // Nothing will become known of a thread after the end.
    const nowMs = this.#isEnding ? Number.POSITIVE_INFINITY : performance.now();
    const totals = yield* this.ledger.totalsSteps(nowMs, isExported);
    return yield* snapshotSteps(totals, this.#vmInfos(), this.#audit?.rows());
  }

  #drainNow(): void {
    this.#pacer.wakeNow();
    this.#ticker.wakeNow();
  }

  /** Threads are creating VMs, whose vCPUs have not run yet. */
  #expectVms(tids: ReadonlySet<number>): void {
    for (const tid of tids) this.#readiness.attempt(() => this.#inventory.expectVm(tid, performance.now()));
    // While no VM runs, drains are so rare that its first exits could fill a buffer.
    if (!this.#inventory.hasRunningVms) this.#pacer.wakeSoon();
    this.#scanTurns.stir(performance.now());
    this.#ticker.wakeNow();
  }

  /** Does what is too slow for a tick. The steps are independent, so a failure of one must not stop the next. */
  #scan(): void {
    this.#snapshot.finish();
    // A new folder of KVM means that its module was loaded again: our instance has lost its events.
    if (this.#vmWatcher.renew()) this.#scanTurns.stir(performance.now());
    const isTurn = this.#scanTurns.take(this.#hasReportedChanges, performance.now());
    if (isTurn) this.#readiness.attempt(() => this.#scanVms(performance.now()));
    if (isTurn || !this.#isEmpty) this.#readiness.attempt(() => this.#kernel.openNewCpus());
    if (isTurn || !this.#kernel.isOpen) this.#readiness.attempt(() => this.#kernel.watch());
  }

  /**
   * Each line needs what the lines before it found: VMs, then their files and devices, then owners of threads, then
   * threads without.
   */
  #scanVms(nowMs: number): void {
    this.#tracker.scan(nowMs, this.#countedToMs);
    this.#qemu?.scan(nowMs);
    this.#devices.scan(nowMs);
    this.ledger.resolveOwners(nowMs);
    this.ledger.mergeIdleThreads(nowMs);
  }
}

/** Rejects as `work` does, and does not end otherwise. */
function failureOf(work: Promise<void> | undefined): Promise<never> {
  return new Promise((_, reject) => void work?.catch(reject));
}
