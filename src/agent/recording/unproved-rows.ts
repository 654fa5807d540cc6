import type { Ledger } from '../../count/ledger.js';
import type { QemuCounts } from '../../count/qemu/qemu-counts.js';
import type { VmIdentity } from '../../count/thread-owners.js';
import type { Inventory } from '../../vm/inventory.js';
import { UnnamedThreads } from '../../vm/tables/unnamed-threads.js';
import type { QemuFileOwner } from '../qemu-file-owner.js';

const NO_PROCESSES =
  'does not name processes, so each vCPU thread has a row of its own; to see VMs, use the trace option record-tgid, `perf script -F +pid` or `kvm-exit-exporter record`, or give a copy of the /proc of that host: --path.procfs=DIR';

const REPEATED =
  "does not show which threads of the kernel's trace its exits are of, so they may be counted twice; report it alone, or give a copy of the /proc of that host: --path.procfs=DIR";

interface QemuFile {
  readonly path: string;
  readonly counts: QemuCounts;
  readonly owner: QemuFileOwner;
}

/**
 * The rows of a report that are not proved to be VMs: vCPU threads whose process no recording names, and rows of QEMU's
 * traces that may be rows of the kernel's trace under another name.
 */
export class UnprovedRows {
  readonly #inventory: Inventory;
  readonly #onWarning: (warning: string) => void;
  readonly #unnamed = new UnnamedThreads();
  readonly #qemuFiles: QemuFile[] = [];
  /** Rows of QEMU's traces whose exits the kernel's trace may have, too, under the names of other rows. */
  readonly repeated = new Set<string>();

  constructor(inventory: Inventory, onWarning: (warning: string) => void) {
    this.#inventory = inventory;
    this.#onWarning = onWarning;
  }

  /** The row of a vCPU thread whose process is not known; undefined for any other thread. */
  rowOf(tid: number): VmIdentity | undefined {
    return this.#unnamed.rowOf(tid);
  }

  addQemuFile(file: QemuFile): void {
    this.#qemuFiles.push(file);
  }

  /**
   * Gives a row to each vCPU thread of no known VM. Call it after the last recording.
   * @param comms names of threads, by thread id
   */
  giveRows(ledger: Ledger, comms: ReadonlyMap<number, string>, paths: readonly string[]): void {
    const labels = new Set(this.#inventory.vms().map(({ label }) => label));
    for (const tid of ledger.vcpuThreadIds())
      if (tid > 0 && this.#inventory.find(tid) === undefined)
        this.#unnamed.add(tid, comms.get(tid) ?? '', (label) => labels.has(label));
    if (this.#unnamed.count > 0) this.#onWarning(`${paths.join(', ')}: ${NO_PROCESSES}`);
    if (this.#unnamed.leftOut > 0)
      this.#onWarning(`too many threads without a process: ${this.#unnamed.leftOut} share one row, (unknown)`);
  }

  /** Finds the rows of QEMU's traces that no thread or VM in the kernel's trace is proved to be. */
  findRepeated(ledger: Ledger): void {
    const traced = new Set<string>();
    for (const vcpu of ledger.vcpus())
      if (vcpu.layout.total('userspaceExits', vcpu.counts) > 0) traced.add(this.#labelOf(vcpu.tid));
    if (traced.size === 0) return;
    for (const { path, counts, owner } of this.#qemuFiles) {
      const rows = Array.from(counts.runExits.keys(), (id) => owner.labelOf(id) ?? '');
      const repeated = rows.filter((row) => !traced.has(row));
      for (const row of repeated) this.repeated.add(row);
      if (repeated.length > 0) this.#onWarning(`${path}: ${REPEATED}`);
    }
  }

  #labelOf(tid: number): string {
    return (this.#inventory.find(tid)?.vm ?? this.rowOf(tid))?.label ?? '';
  }
}
