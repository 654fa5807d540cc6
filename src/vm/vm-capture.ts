import { KVM_DEBUGFS } from './host/debugfs.js';
import { readStat, readThreadStat, threadIds } from './host/proc.js';
import { VmWatcher } from './host/vm-watcher.js';
import { Inventory } from './inventory.js';
import { noteVm } from './tables/noted-vm.js';
import type { Vm } from './tables/vm.js';

/** How long a thread is looked at again after it was first seen: threads get their names a moment after they start. */
const NEW_MS = 500;

interface SeenThread {
  comm: string;
  readonly firstMs: number;
}

/** Notes which VMs run on this host, and their threads, each as soon as it is seen: a VM may live for a moment only. */
export class VmCapture {
  /** Labels of all VMs seen. */
  readonly labels = new Set<string>();
  readonly #root: string;
  readonly #inventory: Inventory;
  readonly #threads = new Map<Vm, Map<number, SeenThread>>();
  /** A process that becomes a VMM long after it started would be checked in its turn only: seconds later. */
  readonly #watcher: VmWatcher;
  #newUntilMs = Number.NEGATIVE_INFINITY;

  /** Call {@link close} when it is not needed any more. */
  constructor(procfs: string, debugfs = KVM_DEBUGFS) {
    this.#root = procfs;
    this.#inventory = new Inventory({ procfs, live: true, debugfs, trustsCommandLines: true });
    this.#watcher = new VmWatcher(debugfs, (tids) => {
      for (const tid of tids) this.#inventory.expectVm(tid, performance.now());
    });
  }

  /** Looks at all processes. */
  scan(): void {
    const nowMs = performance.now();
    this.#watcher.renew();
    this.#inventory.scan(nowMs);
    this.#note(nowMs);
  }

  /** Looks at processes that started since the last call only, so it is cheap enough to be called between scans. */
  scanNew(): void {
    const nowMs = performance.now();
    if (this.#inventory.checkNewProcesses(nowMs).started.length > 0) this.#newUntilMs = nowMs + NEW_MS;
    if (nowMs < this.#newUntilMs) this.#note(nowMs);
  }

  /** A line for each VM; see noted-vm.ts. */
  notes(): string {
    const lines = Array.from(this.#threads, ([vm, seen]) =>
      noteVm({ vm, threads: new Map(Array.from(seen, ([tid, { comm }]) => [tid, comm])) }),
    );
    return lines.map((line) => `${line}\n`).join('');
  }

  close(): void {
    this.#watcher.close();
  }

  #note(nowMs: number): void {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    for (const vm of running) {
      this.labels.add(vm.label);
      const seen = this.#threads.get(vm) ?? new Map<number, SeenThread>();
      this.#threads.set(vm, seen);
      for (const tid of threadIds(this.#root, vm.pid) ?? [])
        see(seen, tid, nowMs, () => readThreadStat(this.#root, vm.pid, tid)?.comm);
    }
    for (const tid of this.#inventory.kernelThreads()) {
      const vm = this.#inventory.find(tid)?.vm;
      const seen = vm === undefined ? undefined : this.#threads.get(vm);
      if (seen !== undefined) see(seen, tid, nowMs, () => readStat(this.#root, tid)?.comm);
    }
  }
}

function see(seen: Map<number, SeenThread>, tid: number, nowMs: number, readComm: () => string | undefined): void {
  const before = seen.get(tid);
  if (before !== undefined && nowMs - before.firstMs > NEW_MS) return;
  const comm = readComm();
  if (comm === undefined) return;
  if (before === undefined) seen.set(tid, { comm, firstMs: nowMs });
  else before.comm = comm;
}
