/**
 * Whose a trace file of QEMU is, asked by the id that an event carries (a thread, in simple traces a process, 0 where there is none):
 *
 *   1. the VM of the thread with that id, on the host or in its own pid namespace
 *   2. the VM whose process has the file open
 *   3. the VM that the file is named after: libvirt's `vm-a.log`, QEMU's `trace-7042`
 *   4. another VM's id in the same file; else the file's name itself
 *
 * Who was found is remembered, also after it has ended, until its counts are forgotten.
 */
import { basename } from 'node:path';
import type { Inventory } from '../vm/inventory.js';
import type { Thread, Vm } from '../vm/vm.js';
import { vmOfFileName } from './attribution.js';

interface Owner {
  readonly vm: Vm;
  readonly isVcpu: boolean;
}

export class FileOwner {
  readonly #inventory: Inventory;
  readonly #path: string;
  /** Process that has the file open. */
  #opener: number | undefined;
  readonly #known = new Map<number, Owner>();

  constructor(inventory: Inventory, path: string) {
    this.#inventory = inventory;
    this.#path = path;
  }

  /** Nobody was found by thread or process. */
  get isUnknown(): boolean {
    return this.#known.size === 0;
  }

  setOpener(pid: number): void {
    this.#opener = pid;
  }

  readonly labelOf = (id: number): string => this.#resolve(id)?.vm.label ?? this.#fallback();

  readonly isVcpu = (id: number): boolean => this.#resolve(id)?.isVcpu === true;

  readonly vmOf = (id: number): Vm | undefined => this.#known.get(id)?.vm;

  forget(vm: Vm): void {
    for (const [id, known] of this.#known) if (known.vm === vm) this.#known.delete(id);
  }

  /** A VM that was started again goes on writing to its file: what carries no id is the new one's from now on. */
  restarted(vm: Vm): void {
    const old = this.#known.get(0)?.vm;
    if (old?.label === vm.label) this.#known.set(0, { vm, isVcpu: false });
  }

  #resolve(id: number): Owner | undefined {
    const known = this.#known.get(id);
    // A thread's number of its vCPU may be learned later.
    if (known !== undefined && (known.isVcpu || id === 0)) return known;
    const thread = id === 0 ? undefined : this.#thread(id);
    const vm = known?.vm ?? thread?.vm ?? this.#ofFile();
    if (vm === undefined) return undefined;
    const owner = { vm, isVcpu: thread?.vm === vm && thread.vcpu >= 0 };
    this.#known.set(id, owner);
    return owner;
  }

  #thread(id: number): Thread | undefined {
    return this.#inventory.byNamespacedTid(this.#opener, id) ?? this.#inventory.byNamespacedTid(undefined, id);
  }

  #ofFile(): Vm | undefined {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    const opener = running.find(({ pid }) => pid === this.#opener);
    if (opener !== undefined) return opener;
    const pid = pidOfFileName(this.#path);
    if (pid !== undefined) return this.#thread(pid)?.vm;
    const name = vmOfFileName(this.#path);
    return running.find((vm) => vm.label === name) ?? running.find((vm) => vm.name === name);
  }

  #fallback(): string {
    const [other] = this.#known.values();
    return other?.vm.label ?? String(pidOfFileName(this.#path) ?? vmOfFileName(this.#path));
  }
}

/** `trace-7042`: what QEMU calls a simple trace unless told otherwise. */
export function pidOfFileName(path: string): number | undefined {
  const digits = /^trace-(\d+)$/.exec(basename(path))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
