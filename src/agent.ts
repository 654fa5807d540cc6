/**
 * The live agent, in the order of the data:
 *
 *   kernel trace ──┐
 *                  ├─► decoder ─► ledger ─► /metrics
 *   QEMU's traces ─┘                ▲
 *   /proc ─► inventory ─────────────┘ whose thread
 */
import { AgentError } from './agent-error.js';
import type { AgentOptions } from './agent-options.js';
import { attributionOf } from './attribution.js';
import type { KernelCounts } from './count/kernel-counts.js';
import { Ledger } from './count/ledger.js';
import type { Snapshot } from './count/snapshot.js';
import { log } from './log.js';
import { Pace, Repetition } from './pace.js';
import { QemuTraces } from './qemu-traces.js';
import { findTracefs, type Tracefs } from './source/find-tracefs.js';
import { KernelTrace, NoKvmEvents } from './source/kernel-trace.js';
import { neededEvents } from './source/needed-events.js';
import { type Drained, NOTHING } from './source/ring-buffers.js';
import { TopLevelMarkers } from './source/top-level-markers.js';
import { UNKNOWN_LOSS } from './trace-sink.js';
import { Inventory } from './vm/inventory.js';
import type { Changes } from './vm/roster.js';
import type { Vm } from './vm/vm.js';
import { VmBirths } from './vm/vm-births.js';
import { VmDevices } from './vm-devices.js';
import { Waiting } from './waiting.js';

const KVM_DEBUGFS = '/sys/kernel/debug/kvm';
/** A drain that takes longer lets others (scrapes) in between. */
const TICK_BUDGET_MS = 50;
const SCAN_MS = 2000;
const RETRY_MS = 2000;

export class Agent {
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  readonly #options: AgentOptions;
  readonly #counts: KernelCounts | undefined;
  readonly #markerCounts: KernelCounts | undefined;
  readonly #devices: VmDevices;
  readonly #qemu: QemuTraces | undefined;
  #tracefs: Tracefs | undefined;
  #trace: KernelTrace | undefined;
  #topLevel: TopLevelMarkers | undefined;
  /** The kernel copies them to our instance instead. */
  #markersCopied = false;
  readonly #births = new VmBirths(KVM_DEBUGFS, (pid) => this.#expect(pid));
  readonly #ticks = new Repetition(() => this.#tick());
  readonly #pace: Pace;
  readonly #waiting = new Waiting();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#pace = new Pace(options.bufferSize);
    this.inventory = new Inventory({
      procfs: options.procfs,
      live: true,
      debugfs: KVM_DEBUGFS,
      graceMs: options.graceMs,
    });
    this.#devices = new VmDevices(options.qmp, this.inventory);
    this.ledger = new Ledger(
      attributionOf(this.inventory, { devicesOf: this.#devices.of, podOf: options.podOf }),
      options,
    );
    const source = (name: string) => {
      const counts = this.ledger.kernelSource(name, (tid, tgid, comm) => this.inventory.addThread(tid, tgid, comm));
      counts.source.up = false;
      return counts;
    };
    if (options.kernel) this.#counts = source('tracefs');
    if (options.consumeTopLevel) this.#markerCounts = source('qemu_markers');
    const { logs, simples } = options.qemu;
    if (logs.length + simples.length > 0)
      this.#qemu = new QemuTraces({ ...options, ...options.qemu }, this.ledger, this.inventory);
    else if (!options.kernel && !options.consumeTopLevel)
      throw new AgentError('--no-collector.kernel leaves nothing to read: give --qemu.log or --qemu.simple');
  }

  /** Why the events are not being read - the kernel's, if they are to be; undefined: they are. */
  get notReady(): string | undefined {
    if (this.#trace !== undefined || !this.#options.kernel) return undefined;
    return this.#waiting.reason || 'the sources are not open yet';
  }

  /**
   * Opens the sources. A host without the kvm module is waited for, and one without tracefs where there are QEMU's own traces to read.
   * @throws AgentError where the rights or the kernel don't allow it; nothing is left behind then
   */
  open(): void {
    this.inventory.scan(performance.now());
    try {
      this.#openTracefs();
    } catch (error) {
      this.#leaveTracefs();
      if (!(error instanceof AgentError) || this.#qemu === undefined) throw error;
      this.#waiting.for(error.message);
    }
    this.#qemu?.start();
  }

  /** Reads until told to stop, then leaves the host as it was. `atEnd`: all is read, and the sources are still open. */
  async run(signal: AbortSignal, atEnd: () => void = () => {}): Promise<void> {
    const scans = setInterval(() => this.#waiting.attempt(() => this.#scan()), SCAN_MS);
    const retries = setInterval(() => this.#waiting.attempt(() => this.#watch()), RETRY_MS);
    try {
      this.#births.renew();
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
    return this.ledger.snapshot();
  }

  /** @throws AgentError where the host can't be left as it was */
  close(): void {
    this.#births.close();
    this.#devices.stop();
    this.#qemu?.stop();
    // Our instance is still there, out of reach: to remove it, tracefs must be mounted again.
    if (this.#tracefs?.isThere() === false) this.#waiting.attempt(() => this.#watch());
    this.#leaveTracefs();
  }

  /** Opens what is not open yet. */
  #openTracefs(): void {
    if (this.#counts === undefined && this.#markerCounts === undefined) return;
    this.#tracefs ??= findTracefs(this.#options.tracefs);
    const { path } = this.#tracefs;
    if (this.#counts !== undefined && this.#trace === undefined) this.#openTrace(this.#counts, path);
    if (this.#markerCounts !== undefined) this.#openTopLevel(this.#markerCounts, path);
    if (this.#isOpen) this.#waiting.over();
  }

  #leaveTracefs(): void {
    try {
      this.#closeTrace();
    } finally {
      this.#tracefs?.release();
      this.#tracefs = undefined;
    }
  }

  #openTrace(counts: KernelCounts, tracefs: string): void {
    const { vocabulary } = this.ledger;
    try {
      this.#trace = new KernelTrace({
        ...this.#options,
        neededEvents: neededEvents(this.#options.collectors),
        tracefs,
        vocabulary,
        sink: counts,
      });
    } catch (error) {
      if (!(error instanceof NoKvmEvents)) throw error;
      this.#waiting.for(error.message);
      return;
    }
    counts.source.up = true;
    this.ledger.kernelCountsAll = this.#trace.events.includes('kvm:kvm_userspace_exit');
    const { fallback } = this.#trace;
    if (fallback !== undefined)
      log('warn', 'reading trace_pipe as text, which costs much more CPU', { because: fallback });
    log('info', 'reading kernel trace', {
      instance: this.#trace.instance.path,
      reader: this.#trace.reader,
      vms: this.inventory.vms().length,
      events: this.#trace.events.join(','),
    });
  }

  /** Never both: markers that are copied to our instance are read there. It may have been made later than this buffer was opened. */
  #openTopLevel(counts: KernelCounts, tracefs: string): void {
    if (this.#trace?.instance.copiesMarkers === true) {
      if (!this.#markersCopied)
        log('info', "QEMU's markers are copied to our instance; the top-level buffer is left alone");
      this.#markersCopied = true;
      this.#closeTopLevel();
      return;
    }
    if (this.#topLevel !== undefined) return;
    const { reader, bufferSize } = this.#options;
    this.#topLevel = new TopLevelMarkers({
      tracefs,
      reader,
      bufferSize,
      vocabulary: this.ledger.vocabulary,
      sink: counts,
    });
    counts.source.up = true;
    log('info', "reading QEMU's markers from the top-level buffer, which empties it", { tracefs });
  }

  #closeTopLevel(): void {
    if (this.#markerCounts !== undefined) this.#markerCounts.source.up = false;
    this.#topLevel?.close();
    this.#topLevel = undefined;
  }

  #closeTrace(): void {
    this.ledger.kernelCountsAll = false;
    if (this.#counts !== undefined) this.#counts.source.up = false;
    this.#closeTopLevel();
    this.#markersCopied = false;
    this.#readOverruns();
    this.#counts?.endBuffers();
    const trace = this.#trace;
    this.#trace = undefined;
    trace?.close();
  }

  #readOverruns(): void {
    const overruns = this.#trace?.overruns();
    // Where none can be read, those known stay.
    if (this.#counts !== undefined && overruns !== undefined && overruns.size > 0)
      this.#counts.source.overruns = overruns;
  }

  /** Returns the pause until the next. */
  #tick(): number {
    const nowMs = performance.now();
    this.#waiting.attempt(() => this.#learn(this.inventory.notice(nowMs)));
    if (this.#births.told) this.#pace.told();
    else this.#pace.quietFor(this.inventory.quietMs(nowMs));
    if (this.#pace.isDue(performance.now())) this.#drain();
    return this.#pace.pauseMs;
  }

  #drain(): void {
    const isBehind = this.#drainTopLevel();
    const { mostBytes, behind } = this.#drainTrace();
    this.#pace.drained(mostBytes, behind || isBehind, performance.now());
  }

  /** True where there was more than the budget allowed to read. */
  #drainTopLevel(): boolean {
    if (this.#topLevel === undefined || this.#markerCounts === undefined) return false;
    const startMs = performance.now();
    const behind = this.#topLevel.drain(startMs + TICK_BUDGET_MS, () => performance.now());
    this.#markerCounts.source.addDrain((performance.now() - startMs) / 1000);
    return behind;
  }

  #drainTrace(): Drained {
    const trace = this.#trace;
    const counts = this.#counts;
    if (trace === undefined || counts === undefined) return NOTHING;
    const startMs = performance.now();
    const drained = trace.drain(startMs + TICK_BUDGET_MS, () => performance.now());
    counts.source.addDrain((performance.now() - startMs) / 1000);
    this.#waiting.attempt(() => this.#identify(counts));
    return drained;
  }

  /** Looks up whose the threads are that were seen for the first time, at once: they may not live long. */
  #identify(counts: KernelCounts): void {
    const newcomers = counts.takeNewThreads();
    for (const tid of newcomers) this.inventory.miss(tid, true);
    this.#learn(this.inventory.resolveMisses(performance.now()));
    if (newcomers.length > 0) this.ledger.attribute();
  }

  /** This process makes a VM just now, whose vCPUs have not run yet. */
  #expect(pid: number): void {
    this.inventory.expect(pid, performance.now());
    this.#ticks.hasten();
  }

  #scan(): void {
    this.#births.renew();
    for (const tid of this.ledger.attribute()) this.inventory.miss(tid, true);
    this.#learn(this.inventory.scan(performance.now()));
    this.#learn(this.inventory.resolveMisses(performance.now()));
    this.#qemu?.scan();
    this.#devices.scan(performance.now());
    this.ledger.attribute();
    this.ledger.endQuietStrangers(performance.now());
    this.#topLevel?.openNewCpus();
    if (this.#trace === undefined || this.#counts === undefined) return;
    this.#readOverruns();
    this.#trace.openNewCpus();
  }

  /** What changed among the VMs, for the counters. */
  #learn({ started, stopped, forgotten, reusedTids }: Changes): void {
    for (const tid of reusedTids) this.ledger.endThread(tid);
    for (const vm of forgotten) this.#forget(vm);
    for (const vm of stopped) log('info', 'VM stopped', { vm: vm.label, pid: vm.pid });
    for (const vm of started) {
      this.#pace.hurry();
      log('info', 'VM started', { vm: vm.label, pid: vm.pid, vmm: vm.vmm, uuid: vm.uuid });
      this.#qemu?.restarted(vm);
    }
  }

  #forget(vm: Vm): void {
    this.ledger.forget(vm);
    this.#qemu?.forget(vm);
  }

  /** All that is to be read in tracefs is being read. */
  get #isOpen(): boolean {
    const markers = this.#markerCounts === undefined || this.#topLevel !== undefined || this.#markersCopied;
    return markers && (this.#counts === undefined || this.#trace !== undefined);
  }

  /** The kvm module comes and goes; somebody may unmount tracefs, or read the top-level buffer just now. */
  #watch(): void {
    const ended = this.#trace?.ended;
    if (ended !== undefined) {
      this.#drain();
      this.#waiting.for(ended);
      this.#closeTrace();
      // What came since then, nobody knows.
      this.#counts?.source.addLost(-1, UNKNOWN_LOSS);
    }
    if (this.#isOpen) return;
    if (this.#tracefs?.isThere() === false) this.#tracefs = undefined;
    this.#openTracefs();
  }
}
