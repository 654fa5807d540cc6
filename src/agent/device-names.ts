/**
 * Learns which device answers at which address of each VM: asks its QEMU over a QMP socket, `info mtree -f`.
 *
 * The answer changes while firmware and guest place their PCI devices, so a VM is asked several times after its start,
 * and then seldom. A socket serves one client at a time, so each question opens and closes a connection. A socket that
 * is busy, or silent, causes a warning and is tried again later; counting never waits for it.
 */
import { existsSync } from 'node:fs';
import { parseMtree } from '../decode/qemu/mtree.js';
import { expandGlob } from '../source/files/glob.js';
import { askQmp } from '../source/qemu/ask-qmp.js';
import { ConnectionClosed } from '../source/qemu/qmp.js';
import { errnoOf } from '../system/errors.js';
import { SeldomLog } from '../system/seldom-log.js';
import type { DeviceRanges } from '../trace/device-ranges.js';
import type { Inventory } from '../vm/inventory.js';
import { hasStopped } from '../vm/sockets/qmp-identity.js';
import type { SocketSpeakers } from '../vm/sockets/socket-speakers.js';
import type { Vm } from '../vm/tables/vm.js';

const MAX_SOCKETS = 4096;
/** Pauses between questions to a VM, from its start; the last one repeats. */
const PAUSES_MS = [2000, 5000, 10_000, 30_000, 300_000];
/** Questions in which nothing is wrong yet: a QEMU makes its sockets first, and its VM seconds later on a busy host. */
const QUESTIONS_WHILE_STARTING = 3;
/** Time after which no further socket is asked, so that new sockets have their turn. */
const BUDGET_MS = 20_000;

interface Socket {
  /** Time of the next question. */
  dueMs: number;
  /** Number of questions since the VM started. */
  asked: number;
  /** The problem that was logged last; '' if the last question was answered. */
  problem: string;
  /** The VM that gave the last answer. */
  vm: Vm | undefined;
}

export class DeviceNames {
  readonly #patterns: readonly string[];
  readonly #inventory: Inventory;
  readonly #speakers: SocketSpeakers;
  readonly #seldom = new SeldomLog();
  readonly #sockets = new Map<string, Socket>();
  readonly #devices = new Map<Vm, DeviceRanges>();
  #asking: Promise<void> | undefined;
  #stopped = false;

  /** @param patterns of paths of QMP sockets */
  constructor(patterns: readonly string[], inventory: Inventory, speakers: SocketSpeakers) {
    this.#patterns = patterns;
    this.#speakers = speakers;
    this.#inventory = inventory;
  }

  /** The devices of the VM with this label; undefined if it was not asked (yet). */
  readonly of = (label: string): DeviceRanges | undefined => {
    for (const [vm, devices] of this.#devices) if (vm.label === label) return devices;
    return undefined;
  };

  /** Asks the VMs that are due, in the background. Call it every few seconds. */
  scan(nowMs: number): void {
    if (this.#patterns.length === 0 || this.#asking !== undefined) return;
    const vms = new Set(this.#inventory.vms());
    for (const vm of this.#devices.keys()) if (!vms.has(vm)) this.#devices.delete(vm);
    const due = this.#due(nowMs);
    if (due.length === 0) return;
    this.#asking = this.#askAll(due).finally(() => {
      this.#asking = undefined;
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  #due(nowMs: number): [string, Socket][] {
    const paths = new Set(this.#patterns.flatMap((pattern) => expandGlob(pattern)).slice(0, MAX_SOCKETS));
    for (const path of this.#sockets.keys()) if (!paths.has(path)) this.#sockets.delete(path);
    for (const path of paths)
      if (!this.#sockets.has(path)) this.#sockets.set(path, { dueMs: nowMs, asked: 0, problem: '', vm: undefined });
    for (const socket of this.#sockets.values()) if (hasStopped(socket.vm)) startOver(socket, nowMs);
    return [...this.#sockets].filter(([, { dueMs }]) => dueMs <= nowMs).sort(([, a], [, b]) => a.dueMs - b.dueMs);
  }

  /** Asks one VM after the other: there is no hurry, and each question takes a moment of a QEMU's main loop. */
  async #askAll(due: readonly (readonly [string, Socket])[]): Promise<void> {
    await this.#speakers.search(due.map(([path]) => path));
    const endMs = performance.now() + BUDGET_MS;
    for (const { path, socket } of this.#speakers.inTurns(due.map(([path, socket]) => ({ path, socket })))) {
      if (this.#stopped || performance.now() > endMs) return;
      try {
        await this.#askAgain(path, socket);
        socket.problem = '';
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        const level = hasEnded(error) || this.#isGone(path) ? 'debug' : 'warn';
        if (problem !== socket.problem)
          this.#seldom.few(level, 'ask', "cannot ask a VM for its devices' names", { err: problem });
        socket.problem = problem;
      }
      socket.dueMs = performance.now() + (PAUSES_MS[Math.min(socket.asked, PAUSES_MS.length - 1)] ?? 0);
      socket.asked++;
    }
  }

  /**
   * True if a pattern matched the socket, which does not exist any more. A path that the user named in full must exist.
   */
  #isGone(path: string): boolean {
    return !this.#patterns.includes(path) && !existsSync(path);
  }

  /**
   * A QEMU that closes the connection without an answer may just have ended: a second question shows whether it did.
   */
  async #askAgain(path: string, socket: Socket): Promise<void> {
    try {
      await this.#ask(path, socket);
    } catch (error) {
      if (!(error instanceof ConnectionClosed)) throw error;
      await this.#ask(path, socket);
    }
  }

  async #ask(path: string, socket: Socket): Promise<void> {
    if (!this.#speakers.isServed(path) && existsSync(path)) {
      if (socket.asked < QUESTIONS_WHILE_STARTING) return;
      throw new Error(`${path}: no process of a known VM serves it, so it is not asked`);
    }
    await askQmp(path, async (qmp) => {
      const identity = await qmp.identity();
      const vm = this.#speakers.vmOf(path, identity);
      // The VM has just started or ended: it is asked again soon.
      if (vm === undefined && socket.asked < QUESTIONS_WHILE_STARTING) return;
      if (vm === undefined)
        throw new Error(`${path}: belongs to no known VM (name ${identity.name || '-'}, uuid ${identity.uuid || '-'})`);
      socket.vm = vm;
      this.#devices.set(vm, parseMtree(await qmp.monitor('info mtree -f')));
    });
  }
}

const ENDED: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

/** True if QEMU has ended, which is not worth a warning: one that was killed leaves its socket behind. */
function hasEnded(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return ENDED.has(errnoOf(cause));
}

function startOver(socket: Socket, nowMs: number): void {
  socket.vm = undefined;
  socket.asked = 0;
  socket.dueMs = nowMs;
}
