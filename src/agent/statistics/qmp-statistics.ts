/**
 * Asks the VMs that have a QMP socket for KVM's own statistics. A socket that is busy, silent or not a QEMU's is tried
 * again later, and seldom. It delays the other sockets by a few seconds at most.
 */
import type { QemuCpu } from '../../decode/statistics/query-stats.js';
import { expandGlob } from '../../source/files/glob.js';
import { askQmp } from '../../source/qemu/ask-qmp.js';
import { QmpDoor } from '../../source/statistics/qmp-door.js';
import { SeldomLog } from '../../system/seldom-log.js';
import type { StatisticsReading } from '../../trace/kvm-statistic.js';
import type { Inventory } from '../../vm/inventory.js';
import type { SocketSpeakers } from '../../vm/sockets/socket-speakers.js';
import type { Vm } from '../../vm/tables/vm.js';

/** Sockets that are asked at a time. */
const AT_A_TIME = 8;
/** Time after which no further socket is asked in one call. */
const BUDGET_MS = 5000;
const MIN_PAUSE_MS = 10_000;
const MAX_PAUSE_MS = 300_000;
const MAX_SOCKETS = 4096;

export interface QmpListener {
  /** Called right before the vCPUs of a VM are asked. */
  onAsk(vm: Vm): void;
  /** Called as soon as a VM has answered. */
  onReading(vm: Vm, reading: StatisticsReading): void;
}

interface Socket {
  readonly path: string;
  readonly door: QmpDoor;
  /** Time before which it is not asked. */
  dueMs: number;
  /** Pause after the next failure. */
  pauseMs: number;
}

export class QmpStatistics {
  readonly #patterns: readonly string[];
  readonly #inventory: Inventory;
  readonly #speakers: SocketSpeakers;
  readonly #isWanted: (name: string) => boolean;
  readonly #seldom = new SeldomLog();
  #sockets = new Map<string, Socket>();

  /**
   * @param patterns of paths of QMP sockets
   * @param isWanted tells by name whether a statistic is to be read
   */
  constructor(
    patterns: readonly string[],
    inventory: Inventory,
    speakers: SocketSpeakers,
    isWanted: (name: string) => boolean,
  ) {
    this.#patterns = patterns;
    this.#speakers = speakers;
    this.#inventory = inventory;
    this.#isWanted = isWanted;
  }

  /** Asks each VM that is due. */
  async read(listener: QmpListener): Promise<void> {
    const startMs = performance.now();
    this.#findSockets(startMs);
    await this.#speakers.search([...this.#sockets.keys()]);
    const due = [...this.#sockets.values()]
      .filter(({ path, dueMs }) => dueMs <= startMs && this.#speakers.isServed(path))
      .sort((a, b) => a.dueMs - b.dueMs);
    const turns = this.#speakers.inTurns(due);
    const work = async () => {
      for (let socket = turns.shift(); socket !== undefined; socket = turns.shift()) {
        await this.#ask(socket, listener);
        if (performance.now() - startMs > BUDGET_MS) return;
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
  }

  #findSockets(nowMs: number): void {
    const paths = this.#patterns.flatMap((pattern) => expandGlob(pattern)).slice(0, MAX_SOCKETS);
    const known = this.#sockets;
    this.#sockets = new Map(
      paths.map((path) => {
        const fresh = { path, door: new QmpDoor(this.#isWanted), dueMs: nowMs, pauseMs: MIN_PAUSE_MS };
        return [path, known.get(path) ?? fresh];
      }),
    );
  }

  async #ask(socket: Socket, listener: QmpListener): Promise<void> {
    const { path, door } = socket;
    try {
      await askQmp(path, async (qmp) => {
        const vm = this.#speakers.vmOf(path, await qmp.identity());
        // It has just started or ended, or DeviceNames reports it.
        if (vm === undefined) return;
        const parts = await door.read(
          qmp,
          (cpu) => this.#vcpuOf(vm, cpu),
          () => listener.onAsk(vm),
        );
        listener.onReading(vm, { door: 'qmp', parts: parts.slice(0, this.#maxParts(vm)) });
      });
      socket.dueMs = 0;
      socket.pauseMs = MIN_PAUSE_MS;
    } catch (error) {
      socket.dueMs = performance.now() + socket.pauseMs;
      socket.pauseMs = Math.min(socket.pauseMs * 2, MAX_PAUSE_MS);
      const err = error instanceof Error ? error.message : String(error);
      this.#seldom.info('ask', "cannot ask a VM for KVM's statistics; debugfs is read instead", { err });
    }
  }

  /** The VM, and a vCPU for each thread. The process behind the socket may name any number. */
  #maxParts({ pid }: Vm): number {
    return 1 + this.#inventory.threadCount(pid);
  }

  /** KVM's number of a vCPU, which QEMU's may differ from, by its thread. */
  #vcpuOf({ pid }: Vm, { index, tid }: QemuCpu): number {
    const thread = this.#inventory.findNamespaced(pid, tid);
    return thread === undefined || thread.vcpu < 0 ? index : thread.vcpu;
  }
}
