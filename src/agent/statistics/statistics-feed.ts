/**
 * Reads KVM's own statistics of every VM, each ten seconds, and not at a scrape: a scrape must not wait for a QEMU that
 * hangs, several may come in a second, and QEMU before 8.1 interrupts each vCPU to read its statistics. Reading yields
 * to the event loop after every few VMs.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { StatisticCounts } from '../../count/statistics/statistic-counts.js';
import { isShownByDefault } from '../../decode/statistics/default-statistics.js';
import { DebugfsDoor } from '../../source/statistics/debugfs-door.js';
import type { StatisticsPart, StatisticsReading } from '../../trace/kvm-statistic.js';
import type { Inventory } from '../../vm/inventory.js';
import type { SocketSpeakers } from '../../vm/sockets/socket-speakers.js';
import type { Vm } from '../../vm/vm.js';
import type { AuditFeed } from './audit-feed.js';
import { QmpStatistics } from './qmp-statistics.js';

export interface StatisticsOptions {
  /** True: every statistic; false: those that are shown by default. */
  readonly all: boolean;
}

export interface StatisticsFeedOptions extends StatisticsOptions {
  /** Patterns of paths of QMP sockets. */
  readonly qmp: readonly string[];
  readonly debugfs: string;
  /** The VMs that control sockets may speak for. */
  readonly speakers: SocketSpeakers;
  /** Compares the statistics with our counts; undefined if nothing is traced. */
  readonly audit: AuditFeed | undefined;
}

const PERIOD_MS = 10_000;
/** VMs that are read at once; each takes about 0.1 ms. */
const VMS_PER_SLICE = 32;

export class StatisticsFeed {
  readonly #inventory: Inventory;
  readonly #counts: StatisticCounts;
  readonly #audit: AuditFeed | undefined;
  readonly #qmp: QmpStatistics;
  readonly #debugfs: DebugfsDoor;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: StatisticsFeedOptions, inventory: Inventory, counts: StatisticCounts) {
    const isWanted = options.all ? () => true : isShownByDefault;
    this.#inventory = inventory;
    this.#counts = counts;
    this.#audit = options.audit;
    this.#qmp = new QmpStatistics(options.qmp, inventory, options.speakers, isWanted);
    this.#debugfs = new DebugfsDoor(options.debugfs, isWanted);
  }

  /** Reads now and every ten seconds, in the background. */
  start(): void {
    const startMs = performance.now();
    void this.#read().then(() => {
      const pauseMs = Math.max(PERIOD_MS / 2, startMs + PERIOD_MS - performance.now());
      if (!this.#isStopped) this.#timer = setTimeout(() => this.start(), pauseMs);
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #read(): Promise<void> {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    this.#counts.keepOnly(new Set(running.map(lifeOf)));
    this.#audit?.keepOnly(new Set(running.map(({ label }) => label)));
    const answered = new Set<Vm>();
    await this.#qmp.read((vm, reading) => {
      // A second socket of a VM would be counted again.
      if (answered.has(vm) || this.#isStopped) return;
      answered.add(vm);
      this.#take(new Map([[vm, reading]]));
    });
    const unanswered = running.filter((vm) => !answered.has(vm));
    const folders = this.#foldersByVm();
    for (let at = 0; at < unanswered.length && !this.#isStopped; at += VMS_PER_SLICE) {
      this.#readFolders(unanswered.slice(at, at + VMS_PER_SLICE), folders);
      await endOfTurn();
    }
  }

  #readFolders(vms: readonly Vm[], folders: ReadonlyMap<Vm, readonly (() => StatisticsPart | string)[]>): void {
    const readings = new Map<Vm, StatisticsReading>();
    for (const vm of vms) {
      const parts = (folders.get(vm) ?? []).map((read) => read()).filter((part) => typeof part !== 'string');
      if (parts.length > 0) readings.set(vm, { door: 'debugfs', parts });
    }
    this.#take(readings);
  }

  #take(readings: ReadonlyMap<Vm, StatisticsReading>): void {
    const read = Array.from(readings, ([vm, reading]) => {
      this.#inventory.claimLabel(vm);
      return { label: vm.label, life: lifeOf(vm), reading };
    });
    if (read.length > 0) this.#audit?.compare(read);
    for (const { label, life, reading } of read) this.#counts.add(label, life, reading);
  }

  /** A process may have several VMs: QEMU creates one for a moment to see what KVM can do. */
  #foldersByVm(): Map<Vm, (() => StatisticsPart | string)[]> {
    const byVm = new Map<Vm, (() => StatisticsPart | string)[]>();
    for (const folder of this.#debugfs.find()) {
      const vm = this.#inventory.find(folder.creator)?.vm;
      if (vm === undefined) continue;
      const read = () => this.#debugfs.read(folder);
      byVm.set(vm, [...(byVm.get(vm) ?? []), read]);
    }
    return byVm;
  }
}

/** Identifies a life of a VM. */
function lifeOf({ pid, startTime }: Vm): string {
  return `${pid} ${startTime}`;
}
