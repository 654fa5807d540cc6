/**
 * The live agent, in the order of the data:
 *
 *   kernel trace ─► decoder ─► ledger ─► /metrics
 *                                ▲
 *   /proc ─► inventory ──────────┘ whose thread
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from './agent-error.js';
import { attributionOf } from './attribution.js';
import type { KernelCounts } from './count/kernel-counts.js';
import { Ledger } from './count/ledger.js';
import { log } from './log.js';
import { KernelTrace, type KernelTraceOptions, NoKvmEvents } from './source/kernel-trace.js';
import { findTracefs, type Tracefs } from './source/tracefs.js';
import { Inventory } from './vm/inventory.js';
import type { Changes } from './vm/roster.js';

export interface AgentOptions {
  readonly procfs: string;
  readonly tracefs: string | undefined;
  readonly instance: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** `system:event`, `kvm:*`; undefined: those that are needed. */
  readonly events: readonly string[] | undefined;
  readonly reader: KernelTraceOptions['reader'];
  readonly graceMs: number;
}

/** Longest time between two drains: how stale a scrape can be. */
const SLOWEST_TICK_MS = 200;
const FASTEST_TICK_MS = 10;
/** A drain that takes longer lets others (scrapes) in between. */
const TICK_BUDGET_MS = 50;
/** A buffer fuller than this at a drain: come more often. A sixteenth of it: more seldom. */
const HIGH_WATER = 1 / 8;
const SCAN_MS = 1000;
const RETRY_MS = 5000;

export class Agent {
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  readonly #options: AgentOptions;
  readonly #counts: KernelCounts;
  #tracefs: Tracefs | undefined;
  #trace: KernelTrace | undefined;
  #tickMs = FASTEST_TICK_MS;
  #waitingFor = '';

  constructor(options: AgentOptions) {
    this.#options = options;
    this.inventory = new Inventory({
      procfs: options.procfs,
      live: true,
      debugfs: '/sys/kernel/debug/kvm',
      graceMs: options.graceMs,
    });
    this.ledger = new Ledger(attributionOf(this.inventory));
    this.#counts = this.ledger.kernelSource('tracefs', (tid, tgid, comm) => this.inventory.addThread(tid, tgid, comm));
    this.#counts.source.up = false;
  }

  /** Whether the kernel's events are being read. */
  get ready(): boolean {
    return this.#trace !== undefined;
  }

  /**
   * Opens the sources. A host without the kvm module is waited for.
   * @throws AgentError where the rights or the kernel don't allow it; nothing is left behind then
   */
  open(): void {
    this.inventory.scan(performance.now());
    this.#tracefs = findTracefs(this.#options.tracefs);
    try {
      this.#openTrace();
    } catch (error) {
      this.#tracefs.release();
      throw error;
    }
  }

  /** Reads until told to stop, then leaves the host as it was. */
  async run(signal: AbortSignal): Promise<void> {
    const scans = setInterval(() => this.#scan(), SCAN_MS);
    const retries = setInterval(() => this.#watch(), RETRY_MS);
    try {
      while (!signal.aborted) {
        const behind = this.#drain();
        // Behind or not, whoever waits for the event loop (a scrape) gets it.
        await sleep(behind ? 0 : this.#tickMs, undefined, { signal }).catch(() => {});
      }
      this.#drain();
    } finally {
      clearInterval(scans);
      clearInterval(retries);
      this.close();
    }
  }

  close(): void {
    this.#closeTrace();
    this.#tracefs?.release();
    this.#tracefs = undefined;
  }

  #openTrace(): void {
    const { vocabulary } = this.ledger;
    try {
      const tracefs = this.#tracefs?.path ?? '';
      this.#trace = new KernelTrace({ ...this.#options, tracefs, vocabulary, sink: this.#counts });
    } catch (error) {
      if (!(error instanceof NoKvmEvents)) throw error;
      this.#wait(error.message);
      return;
    }
    this.#counts.source.up = true;
    this.#waitingFor = '';
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

  #closeTrace(): void {
    this.#counts.source.up = false;
    this.#trace?.close();
    this.#trace = undefined;
  }

  /** Says once what is missing. */
  #wait(reason: string): void {
    if (this.#waitingFor !== reason) log('warn', 'waiting', { because: reason });
    this.#waitingFor = reason;
  }

  /** True where there was more than the budget allowed to read. */
  #drain(): boolean {
    const trace = this.#trace;
    if (trace === undefined) return false;
    const startMs = performance.now();
    const { mostPages, behind } = trace.drain(monotonicNs(), startMs + TICK_BUDGET_MS, () => performance.now());
    this.#counts.source.addDrain((performance.now() - startMs) / 1000);
    this.#adapt((mostPages * trace.instance.subBufferSize) / this.#options.bufferSize);
    this.#learn(this.inventory.resolveMisses(performance.now()));
    return behind;
  }

  #adapt(fill: number): void {
    if (fill > HIGH_WATER) this.#tickMs = Math.max(FASTEST_TICK_MS, this.#tickMs / 2);
    else if (fill < HIGH_WATER / 16) this.#tickMs = Math.min(SLOWEST_TICK_MS, this.#tickMs * 1.25);
  }

  #scan(): void {
    for (const tid of this.ledger.attribute()) this.inventory.miss(tid, true);
    this.#learn(this.inventory.scan(performance.now()));
    this.ledger.attribute();
    if (this.#trace === undefined) return;
    this.#counts.source.overruns = this.#trace.overruns();
    this.#trace.openNewCpus();
  }

  /** What changed among the VMs, for the counters. */
  #learn({ started, stopped, forgotten, reusedTids }: Changes): void {
    for (const tid of reusedTids) this.ledger.endThread(tid);
    for (const vm of forgotten) this.ledger.forget(vm);
    for (const vm of started) {
      log('info', 'VM started', { vm: vm.label, pid: vm.pid, vmm: vm.vmm, uuid: vm.uuid });
      // Started again under its old label: a counter starts anew, as after any restart.
      for (const old of this.inventory.vms())
        if (old !== vm && old.label === vm.label && !Number.isNaN(old.stoppedMs)) this.ledger.forget(old);
    }
    for (const vm of stopped) log('info', 'VM stopped', { vm: vm.label, pid: vm.pid });
  }

  /** The kvm module comes and goes; somebody may remove our instance. */
  #watch(): void {
    try {
      if (this.#trace !== undefined && !this.#trace.alive) {
        this.#wait('the events of our tracing instance were switched off, or the kvm module went');
        this.#closeTrace();
      }
      if (this.#trace === undefined) this.#openTrace();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#wait(error.message);
    }
  }
}

/** CLOCK_MONOTONIC, the clock that our instance stamps events with. */
function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}
