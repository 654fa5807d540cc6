/**
 * Reads KVM's own statistics of every VM, each ten seconds, and not at a scrape: a scrape must not wait for a QEMU that
 * hangs, several may come in a second, and QEMU before 8.1 interrupts each vCPU to read its statistics. Reading yields
 * to the event loop after every few VMs.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { StatisticCounts } from '../../count/statistics/statistic-counts.js';
import { isShownByDefault } from '../../decode/statistics/default-statistics.js';
import { DebugfsDoor } from '../../source/statistics/debugfs-door.js';
import { readDomstats } from '../../source/statistics/virsh-door.js';
import { AgentError } from '../../system/errors.js';
import { SeldomLog } from '../../system/seldom-log.js';
import { onBeat } from '../../system/timers/beat.js';
import type { StatisticsPart, StatisticsReading } from '../../trace/kvm-statistic.js';
import type { Inventory } from '../../vm/inventory.js';
import type { SocketSpeakers } from '../../vm/sockets/socket-speakers.js';
import type { Vm } from '../../vm/tables/vm.js';
import type { AuditFeed, CountsBefore } from './audit-feed.js';
import { QmpStatistics } from './qmp-statistics.js';

export interface StatisticsOptions {
  /** True: every statistic; false: those that are shown by default. */
  readonly all: boolean;
  /** True: libvirt is asked for the VMs whose statistics nothing else shows. */
  readonly virsh: boolean;
  /** True: they are read only when that is asked for. Default: each ten seconds. */
  readonly onDemand?: boolean;
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

/** Reads a folder of debugfs; a text says why that is impossible. */
type ReadFolder = () => StatisticsPart | string;

export class StatisticsFeed {
  readonly #inventory: Inventory;
  readonly #counts: StatisticCounts;
  readonly #audit: AuditFeed | undefined;
  readonly #qmp: QmpStatistics;
  readonly #debugfs: DebugfsDoor;
  readonly #isWanted: (name: string) => boolean;
  readonly #asksVirsh: boolean;
  readonly #isOnDemand: boolean;
  readonly #seldom = new SeldomLog();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  /** Ends with the latest reading. */
  #reading = Promise.resolve();

  constructor(options: StatisticsFeedOptions, inventory: Inventory, counts: StatisticCounts) {
    const isWanted = options.all ? () => true : isShownByDefault;
    this.#isWanted = isWanted;
    this.#asksVirsh = options.virsh;
    this.#isOnDemand = options.onDemand === true;
    this.#inventory = inventory;
    this.#counts = counts;
    this.#audit = options.audit;
    this.#qmp = new QmpStatistics(options.qmp, inventory, options.speakers, isWanted);
    this.#debugfs = new DebugfsDoor(options.debugfs, isWanted);
  }

  /** Reads now and every ten seconds, in the background, unless it reads on demand only. */
  start(): void {
    if (this.#isOnDemand) return;
    void this.read().then(() => {
      const pauseMs = Math.max(PERIOD_MS / 2, onBeat(PERIOD_MS));
      if (!this.#isStopped) this.#timer = setTimeout(() => this.start(), pauseMs);
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Reads once more, after the reading that is under way: no VM is asked twice at a time. */
  read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#attempt(() => this.#readAll()));
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    this.#counts.keepOnly(new Set(running.map(lifeOf)));
    this.#audit?.keepOnly(new Set(running.map(({ label }) => label)));
    if (running.length === 0) return;
    const answered = new Set<Vm>();
    const asked = new Map<Vm, CountsBefore | undefined>();
    await this.#qmp.read({
      onAsk: (vm) => void asked.set(vm, this.#countsBefore([vm])),
      onReading: (vm, reading) => {
        // A second socket of a VM would be counted again.
        if (answered.has(vm) || this.#isStopped) return;
        answered.add(vm);
        this.#take(new Map([[vm, reading]]), asked.get(vm));
      },
    });
    const unanswered = running.filter((vm) => !answered.has(vm));
    const folders = this.#foldersByVm();
    for (let at = 0; at < unanswered.length && !this.#isStopped; at += VMS_PER_SLICE) {
      const slice = unanswered.slice(at, at + VMS_PER_SLICE).filter((vm) => folders.has(vm));
      const before = this.#countsBefore(slice);
      const readings = readFolders(slice, folders);
      this.#take(readings, before);
      for (const vm of readings.keys()) answered.add(vm);
      await endOfTurn();
    }
    const closed = running.filter((vm) => !answered.has(vm));
    if (this.#asksVirsh && closed.length > 0) await this.#attempt(() => this.#readDomstats(running, closed));
  }

  /** Asks libvirt, which knows its VMs by name. A name that two VMs have stands for neither. */
  async #readDomstats(running: readonly Vm[], closed: readonly Vm[]): Promise<void> {
    const before = this.#countsBefore(closed);
    const domains = await readDomstats(this.#isWanted);
    const readings = new Map<Vm, StatisticsReading>();
    for (const vm of closed) {
      const parts = domains.get(vm.name);
      const isOnly = running.every(({ name }, index) => name !== vm.name || running[index] === vm);
      if (parts !== undefined && parts.length > 0 && isOnly) readings.set(vm, { door: 'virsh', parts });
    }
    this.#take(readings, before);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#seldom.warn('read', "cannot read KVM's own statistics", { err: error.message });
    }
  }

  /** What we have counted of VMs whose statistics are about to be read. */
  #countsBefore(vms: readonly Vm[]): CountsBefore | undefined {
    for (const vm of vms) this.#inventory.claimLabel(vm);
    return vms.length === 0 ? undefined : this.#audit?.before(new Set(vms.map(({ label }) => label)));
  }

  /** @param before our counts before the readings; undefined if the two are not compared */
  #take(readings: ReadonlyMap<Vm, StatisticsReading>, before: CountsBefore | undefined): void {
    // A VM that ended meanwhile may be forgotten already.
    const running = [...readings].filter(([{ stoppedMs }]) => Number.isNaN(stoppedMs) && !this.#isStopped);
    const read = running.map(([vm, reading]) => {
      this.#inventory.claimLabel(vm);
      return { label: vm.label, life: lifeOf(vm), reading };
    });
    const nowMs = performance.now();
    if (read.length > 0 && before !== undefined) this.#audit?.compare(read, before);
    for (const { label, life, reading } of read) this.#counts.add(label, life, reading, nowMs);
  }

  /** A process may have several VMs: QEMU creates one for a moment to see what KVM can do. */
  #foldersByVm(): Map<Vm, ReadFolder[]> {
    const byVm = new Map<Vm, ReadFolder[]>();
    for (const folder of this.#debugfs.find()) {
      const vm = this.#inventory.find(folder.creator)?.vm;
      if (vm === undefined) continue;
      const read = () => this.#debugfs.read(folder);
      byVm.set(vm, [...(byVm.get(vm) ?? []), read]);
    }
    return byVm;
  }
}

function readFolders(vms: readonly Vm[], folders: ReadonlyMap<Vm, readonly ReadFolder[]>): Map<Vm, StatisticsReading> {
  const readings = new Map<Vm, StatisticsReading>();
  for (const vm of vms) {
    const parts = (folders.get(vm) ?? []).map((read) => read()).filter((part) => typeof part !== 'string');
    if (parts.length > 0) readings.set(vm, { door: 'debugfs', parts });
  }
  return readings;
}

/** Identifies a life of a VM. */
function lifeOf({ pid, startTime }: Vm): string {
  return `${pid} ${startTime}`;
}
