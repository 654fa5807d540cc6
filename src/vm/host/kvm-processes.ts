/**
 * The processes that have a VM, as KVM shows them (HOST). Any user can start a process that looks like a VMM, so a
 * command line alone makes no VM. Either of these does:
 *
 *   /sys/kernel/debug/kvm/187-11          thread 187 created the VM that is file descriptor 11 (kvm_create_vm_debugfs,
 *                                         virt/kvm/kvm_main.c); the folder exists as long as the VM
 *   /proc/187/fd/11 -> anon_inode:kvm-vm  the process has a VM open, or with `kvm-vcpu:0` a vCPU; no name of a file can
 *                                         look like this, because it begins with `/`
 *
 * An open /dev/kvm is no VM. Descriptors are readable for the process's own user, and with CAP_SYS_PTRACE.
 */
import { type Dir, opendirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as proc from './proc.js';

export interface KvmProcessesOptions {
  readonly procfs: string;
  /** Folder of KVM's debugfs files; undefined if it is not to be read. */
  readonly debugfs: string | undefined;
  /** How many processes may count as having a VM although neither debugfs nor their descriptors can be read. */
  readonly trusted: () => number;
  /** The process of a thread, if that is known without asking /proc. */
  readonly knownPidOf: (tid: number) => number | undefined;
}

/** A VM, as far as this file needs to know it. */
interface VmWithPid {
  readonly pid: number;
}

/** A VMM opens its VM early: it is among the first descriptors, after those that it was started with. */
const MAX_FDS = 512;
/** Links read between two calls of `refresh`, at 3 us each. */
const MAX_LINKS = 2048;
const KVM_DESCRIPTOR = /^anon_inode:kvm-(?:vm|vcpu)/;

export class KvmProcesses {
  readonly #options: KvmProcessesOptions;
  /** Name of a folder -> the process of the thread that it is named after. */
  #pids: ReadonlyMap<string, number> = new Map();
  #withFolder: ReadonlySet<number> = new Set();
  #canList = false;
  #linksLeft = MAX_LINKS;
  #trustedLeft = 0;
  /** VMs whose process had a folder. */
  readonly #seen = new WeakSet<VmWithPid>();

  constructor(options: KvmProcessesOptions) {
    this.#options = options;
  }

  /** Lists KVM's folders again. Call it before a number of other calls. */
  refresh(): void {
    this.#linksLeft = MAX_LINKS;
    this.#trustedLeft = this.#options.trusted();
    const names = this.#list();
    this.#canList = names !== undefined;
    const pids = new Map<string, number>();
    for (const name of names ?? []) {
      const tid = Number(/^(\d+)-\d+$/.exec(name)?.[1] ?? 0);
      if (tid > 0) pids.set(name, this.#options.knownPidOf(tid) ?? this.#pids.get(name) ?? this.#pidOf(tid));
    }
    this.#pids = pids;
    this.#withFolder = new Set(pids.values());
  }

  /** True if KVM lists the processes that have a VM. */
  get listsVms(): boolean {
    return this.#canList;
  }

  /** True if KVM has a folder for a VM of the process. */
  hasFolder(pid: number): boolean {
    return this.#withFolder.has(pid);
  }

  /** True if no more descriptors are read until the next `refresh`. */
  get isExhausted(): boolean {
    return this.#linksLeft <= 0;
  }

  /** True if KVM shows a VM of the process. */
  hasVm(pid: number): boolean {
    if (this.hasFolder(pid)) return true;
    const isOpen = this.#hasDescriptor(pid);
    return isOpen ?? (!this.#canList && this.#trustedLeft-- > 0);
  }

  /** Notes whether KVM has a folder for the VM. Call it when the VM is found. */
  note(vm: VmWithPid): void {
    if (this.hasFolder(vm.pid)) this.#seen.add(vm);
  }

  /** True if KVM had a folder for the VM and has none any more: its process lives on without a VM. */
  hasDestroyed(vm: VmWithPid): boolean {
    this.note(vm);
    return this.#canList && !this.hasFolder(vm.pid) && this.#seen.has(vm);
  }

  #list(): string[] | undefined {
    const { debugfs } = this.#options;
    if (debugfs === undefined) return undefined;
    try {
      return readdirSync(debugfs);
    } catch {
      return undefined; // Not mounted, closed to this user, or the kvm module is not loaded.
    }
  }

  #pidOf(tid: number): number {
    return proc.tgidOf(this.#options.procfs, tid) ?? 0;
  }

  /** Undefined if the process's descriptors cannot be read now. */
  #hasDescriptor(pid: number): boolean | undefined {
    if (this.isExhausted) return false;
    const folder = join(this.#options.procfs, String(pid), 'fd');
    let fds: Dir | undefined;
    try {
      // A folder of a million descriptors is not listed whole.
      fds = opendirSync(folder, { bufferSize: 64 });
      for (let count = 0; count < MAX_FDS && !this.isExhausted; count++) {
        const fd = fds.readSync();
        if (fd === null) return false;
        this.#linksLeft--;
        if (KVM_DESCRIPTOR.test(linkText(join(folder, fd.name)))) return true;
      }
      return false;
    } catch {
      return undefined;
    } finally {
      fds?.closeSync();
    }
  }
}

/** '' if the descriptor was closed meanwhile. */
function linkText(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
