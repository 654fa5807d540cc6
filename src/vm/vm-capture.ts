import { NEW_MS, ProcCopy } from './host/proc-copy.js';
import { Inventory } from './inventory.js';

/** Saves what /proc says of this host's VMs, each as soon as it is seen: a VM may live for a moment only. */
export class VmCapture {
  /** Labels of all VMs seen. */
  readonly labels = new Set<string>();
  readonly #inventory: Inventory;
  readonly #copy: ProcCopy;
  #newUntilMs = Number.NEGATIVE_INFINITY;

  constructor(procfs: string, target: string) {
    this.#inventory = new Inventory({ procfs, live: true });
    this.#copy = new ProcCopy(procfs, target);
  }

  /** Looks at all processes. */
  scan(): void {
    const nowMs = performance.now();
    this.#inventory.scan(nowMs);
    this.#save(nowMs);
  }

  /** Looks at processes that started since the last call only, so it is cheap enough to be called between scans. */
  scanNew(): void {
    const nowMs = performance.now();
    if (this.#inventory.checkNewProcesses(nowMs).started.length > 0) this.#newUntilMs = nowMs + NEW_MS;
    if (nowMs < this.#newUntilMs) this.#save(nowMs);
  }

  #save(nowMs: number): void {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    for (const { label } of running) this.labels.add(label);
    this.#copy.update([...running.map(({ pid }) => pid), ...this.#inventory.kernelThreads()], nowMs);
  }
}
