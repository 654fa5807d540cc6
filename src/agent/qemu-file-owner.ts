/**
 * The VM that the events in a trace file of QEMU belong to; one rule, live and in reports. Each event carries an id: a
 * thread in a log, a process in a simple trace, 0 in a log whose lines have no prefix. Evidence, the strongest first:
 *
 *   1. the id is a thread of a known VM, counted on the host or in the VM's own pid namespace
 *   2. the process of a known VM has the file open (live only)
 *   3. the file is named after a known VM: libvirt's `vm-a.log`, QEMU's `trace-7042`
 *   4. another id in the file belongs to a known VM: a file has one writer
 *   5. no known VM: the label is the process id, as for a VM without a name, or the name of the file where no process
 *      is known
 *
 * What 1 to 3 found stays with the id until the VM is forgotten, even if better evidence turns up: counts must not move
 * from one VM to another.
 */
import { basename } from 'node:path';
import type { QemuBackend, QemuOwner } from '../count/qemu-views.js';
import type { Inventory } from '../vm/inventory.js';
import type { Thread, Vm } from '../vm/vm.js';

interface Owner {
  readonly vm: Vm;
  readonly isVcpu: boolean;
}

/** Id of events that carry none. */
const NO_ID = 0;

export class QemuFileOwner implements QemuOwner {
  readonly #inventory: Inventory;
  readonly #path: string;
  readonly #backend: QemuBackend;
  /** Process that has the file open. */
  #opener: number | undefined;
  /** Owners found by the evidence 1 to 3, by id. */
  readonly #found = new Map<number, Owner>();

  constructor(inventory: Inventory, path: string, backend: QemuBackend) {
    this.#inventory = inventory;
    this.#path = path;
    this.#backend = backend;
  }

  /** True if no event of the file belongs to a known VM yet. */
  get isUnknown(): boolean {
    return this.#found.size === 0;
  }

  setOpener(pid: number): void {
    this.#opener = pid;
  }

  labelOf(id: number): string {
    return this.#ownerOf(id)?.vm.label ?? this.#fallback(id);
  }

  /** Always false in a simple trace: its ids are processes, and the first thread of a VMM runs no vCPU. */
  isVcpu(id: number): boolean {
    return this.#backend !== 'simple' && this.#ownerOf(id)?.isVcpu === true;
  }

  vmOf(id: number): Vm | undefined {
    return this.#found.get(id)?.vm;
  }

  forget(vm: Vm): void {
    for (const [id, owner] of this.#found) if (owner.vm === vm) this.#found.delete(id);
  }

  /**
   * A VM that was started again goes on writing to its file: events without an id belong to its new life from now on.
   */
  restarted(vm: Vm): void {
    if (this.#found.get(NO_ID)?.vm.label === vm.label) this.#found.set(NO_ID, { vm, isVcpu: false });
  }

  #ownerOf(id: number): Owner | undefined {
    const found = this.#found.get(id);
    // That a thread runs a vCPU may be learned later.
    if (found !== undefined && (found.isVcpu || id === NO_ID)) return found;
    const thread = id === NO_ID ? undefined : this.#thread(id);
    const vm = found?.vm ?? thread?.vm ?? this.#vmOfFile();
    if (vm === undefined) return undefined;
    const owner = { vm, isVcpu: thread?.vm === vm && thread.vcpu >= 0 };
    this.#found.set(id, owner);
    return owner;
  }

  #thread(id: number): Thread | undefined {
    return this.#inventory.findNamespaced(this.#opener, id) ?? this.#inventory.findNamespaced(undefined, id);
  }

  #vmOfFile(): Vm | undefined {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    const opener = running.find(({ pid }) => pid === this.#opener);
    if (opener !== undefined) return opener;
    const pid = pidOfFileName(this.#path);
    if (pid !== undefined) return this.#thread(pid)?.vm;
    const name = vmOfFileName(this.#path);
    return running.find((vm) => vm.label === name) ?? running.find((vm) => vm.name === name);
  }

  #fallback(id: number): string {
    const [other] = this.#found.values();
    if (other !== undefined) return other.vm.label;
    const pid = this.#backend === 'simple' && id !== NO_ID ? id : pidOfFileName(this.#path);
    return pid === undefined ? vmOfFileName(this.#path) : String(pid);
  }
}

/** The process in a name like `trace-7042`, which QEMU gives its simple traces by default. */
export function pidOfFileName(path: string): number | undefined {
  const digits = /^trace-(\d+)$/.exec(basename(path))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** libvirt names a log after its domain: `vm-a.log`, when rotated `vm-a.log.1` or `vm-a.log-20261123.gz`. */
function vmOfFileName(path: string): string {
  return basename(path)
    .replace(/\.(gz|xz|zst)$/, '')
    .replace(/(\.\d+|-\d{8})$/, '')
    .replace(/\.(log|txt)$/, '');
}
