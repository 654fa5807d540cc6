/**
 * The VM that the events in a trace file of QEMU belong to. Each event carries an id: a thread in a log, a process in a
 * simple trace, 0 in a log whose lines have no prefix.
 *
 * Anyone can write anything to a file, so a file speaks only for these VMs, live:
 *
 *   1. those whose process has it open
 *   2. else, if only root and the agent's user can have made it: the VM that it is named after, as in libvirt's
 *      `vm-a.log`, QEMU's `trace-7042`, or a path with the id of the VM's pod or container. Other programs write such
 *      files for QEMU (virtlogd, container runtimes)
 *   3. else those whose descriptors the agent may not see, if the file belongs to the user that they run as
 *
 * Among several, the id decides. An id that is no thread of theirs belongs to the only one. In a report, which has no
 * processes to ask, any VM may be meant: the id decides, then the name of the file. An id that the kernel's trace has,
 * too, is of that thread, even if nothing says which VM it belongs to.
 *
 * Where no VM is known, the label is the process id, as for a VM without a name, or the name of the file where no
 * process is known. It is '' for a file that other users can have made, as its name may be that of any VM.
 *
 * What was found stays with the id until the VM is forgotten, even if better evidence turns up: counts must not move
 * from one VM to another. Until the openers of a file were searched, the counts of its new ids are withheld.
 */
import { basename } from 'node:path';
import type { QemuBackend, QemuOwner } from '../count/qemu-views.js';
import type { VmIdentity } from '../count/thread-owners.js';
import type { Inventory } from '../vm/inventory.js';
import type { Thread, Vm } from '../vm/tables/vm.js';

interface Owner {
  readonly vm: Vm;
  readonly isVcpu: boolean;
}

/** Who can have written a file. */
export interface FileRights {
  /** The user that the file belongs to. */
  readonly uid: number;
  /** True if only root and the agent's user can write to the file, and to its folder. */
  readonly isOurs: boolean;
}

type RowOf = (tid: number) => VmIdentity | undefined;

/** Id of events that carry none. */
const NO_ID = 0;
/** VMs whose own pid namespaces are searched for an id. */
const MAX_NAMESPACES = 8;
/** Time for which the VMs that a file speaks for are remembered: a log may have a thousand ids. */
const REMEMBER_MS = 500;
/** Characters of the ids of pods and containers, at least. */
const MIN_ID_LENGTH = 32;

export class QemuFileOwner implements QemuOwner {
  readonly #inventory: Inventory;
  readonly #path: string;
  /** Process in the name of the file. */
  readonly #pid: number | undefined;
  /** VM in the name of the file. */
  readonly #name: string;
  readonly #backend: QemuBackend;
  readonly #rights: FileRights | undefined;
  readonly #rowOf: RowOf;
  /** VMs whose process had the file open at a search. */
  readonly #openers = new Set<Vm>();
  /** VMs whose descriptors could not be seen at the latest search. */
  #hidden: readonly Vm[] = [];
  /** Ids without owner -> true once the openers were searched after the id was seen. */
  readonly #searched = new Map<number, boolean>();
  #wasSearched = false;
  /** The VMs that the file speaks for, and until when that is remembered. */
  #speaking: readonly Vm[] = [];
  #speakingUntilMs = Number.NEGATIVE_INFINITY;
  /** Owners by id. */
  readonly #found = new Map<number, Owner>();

  /**
   * @param rights undefined in a report
   * @param rowOf what stands for the VM of a vCPU thread in the kernel's trace whose VM is not known
   */
  constructor(
    inventory: Inventory,
    path: string,
    backend: QemuBackend,
    rights?: FileRights,
    rowOf: RowOf = () => undefined,
  ) {
    this.#inventory = inventory;
    this.#path = path;
    this.#pid = pidOfFileName(path);
    this.#name = vmOfFileName(path);
    this.#backend = backend;
    this.#rights = rights;
    this.#rowOf = rowOf;
  }

  /** True if the file is new or has events of no known VM, so that its openers are to be searched. */
  get needsOpeners(): boolean {
    return !this.#wasSearched || this.#searched.size > 0;
  }

  /**
   * Call it after each search.
   * @param openers VMs whose process has the file open
   * @param hidden VMs whose descriptors could not be seen
   */
  setOpeners(openers: readonly Vm[], hidden: readonly Vm[]): void {
    for (const vm of openers) this.#openers.add(vm);
    this.#hidden = hidden;
    this.#wasSearched = true;
    this.#speakingUntilMs = Number.NEGATIVE_INFINITY;
    this.settle();
  }

  /** No search follows: nothing is withheld any more. */
  settle(): void {
    for (const id of this.#searched.keys()) this.#searched.set(id, true);
  }

  labelOf(id: number): string | undefined {
    const row = this.#row(id);
    if (row !== undefined) return row.label;
    return this.#ownerOf(id)?.vm.label ?? (this.#isSettled(id) ? this.#fallback(id) : undefined);
  }

  /** Always false in a simple trace: its ids are processes, and the first thread of a VMM runs no vCPU. */
  isVcpu(id: number): boolean {
    return this.#backend !== 'simple' && (this.#row(id) !== undefined || this.#ownerOf(id)?.isVcpu === true);
  }

  vmOf(id: number): Vm | undefined {
    return this.#found.get(id)?.vm;
  }

  forget(vm: Vm): void {
    this.#openers.delete(vm);
    this.#speakingUntilMs = Number.NEGATIVE_INFINITY;
    for (const [id, owner] of this.#found) if (owner.vm === vm) this.#found.delete(id);
  }

  /**
   * A VM that was started again goes on writing to its file: events without an id belong to its new life from now on.
   */
  restarted(vm: Vm): void {
    if (this.#found.get(NO_ID)?.vm.label === vm.label) this.#found.set(NO_ID, { vm, isVcpu: false });
  }

  #isSettled(id: number): boolean {
    return this.#rights === undefined || this.#searched.get(id) === true;
  }

  #ownerOf(id: number): Owner | undefined {
    const found = this.#found.get(id);
    // That a thread runs a vCPU may be learned later.
    if (found !== undefined && (found.isVcpu || id === NO_ID)) return found;
    const thread = id === NO_ID ? undefined : this.#thread(id);
    const vm = found?.vm ?? thread?.vm ?? (this.#isSettled(id) ? this.#vmOfFile() : undefined);
    if (vm === undefined) {
      if (!this.#searched.has(id)) this.#searched.set(id, false);
      return undefined;
    }
    this.#searched.delete(id);
    const owner = { vm, isVcpu: thread?.vm === vm && thread.vcpu >= 0 };
    this.#found.set(id, owner);
    return owner;
  }

  #row(id: number): VmIdentity | undefined {
    return this.#backend === 'simple' || id === NO_ID ? undefined : this.#rowOf(id);
  }

  #thread(id: number): Thread | undefined {
    const any = this.#inventory.findNamespaced(undefined, id);
    if (this.#rights === undefined) return any;
    const vms = this.#speaksFor(this.#rights);
    if (any !== undefined && vms.includes(any.vm)) return any;
    for (const vm of vms.length <= MAX_NAMESPACES ? vms : []) {
      const thread = this.#inventory.findNamespaced(vm.pid, id);
      if (thread?.vm === vm) return thread;
    }
    // A VM that has ended cannot be asked any more. Root wrote the file, so its threads are not forged.
    const isTrusted = this.#rights.isOurs && this.#openers.size === 0;
    return isTrusted && any !== undefined && !Number.isNaN(any.vm.stoppedMs) ? any : undefined;
  }

  #vmOfFile(): Vm | undefined {
    if (this.#rights === undefined) return this.#named(this.#running());
    const vms = this.#speaksFor(this.#rights);
    return vms.length === 1 ? vms[0] : this.#named(vms);
  }

  #speaksFor(rights: FileRights): readonly Vm[] {
    const nowMs = performance.now();
    if (nowMs < this.#speakingUntilMs) return this.#speaking;
    this.#speakingUntilMs = nowMs + REMEMBER_MS;
    this.#speaking = this.#findSpeakers(rights);
    return this.#speaking;
  }

  #findSpeakers({ uid, isOurs }: FileRights): readonly Vm[] {
    if (this.#openers.size > 0) {
      const running = [...this.#openers].filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
      return running.length > 0 ? running : [...this.#openers];
    }
    const named = isOurs ? this.#named(this.#running()) : undefined;
    if (named !== undefined) return [named];
    const sameUser = this.#hidden.filter((vm) => vm.uid === uid);
    const namedOfUser = this.#named(sameUser);
    return namedOfUser === undefined ? sameUser : [namedOfUser];
  }

  /** The VM that the file is named after. */
  #named(vms: readonly Vm[]): Vm | undefined {
    if (vms.length === 0) return undefined;
    if (this.#pid !== undefined) {
      const vm = this.#inventory.findNamespaced(undefined, this.#pid)?.vm;
      return vm !== undefined && vms.includes(vm) ? vm : undefined;
    }
    const name = this.#name;
    const inPath = (id: string) => id.length >= MIN_ID_LENGTH && this.#path.includes(id);
    const ofContainer = vms.filter(({ podUid, containerId }) => inPath(podUid) || inPath(containerId));
    return (
      vms.find((vm) => vm.label === name) ??
      vms.find((vm) => vm.name === name) ??
      (ofContainer.length === 1 ? ofContainer[0] : undefined)
    );
  }

  #running(): readonly Vm[] {
    return this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
  }

  #fallback(id: number): string {
    const [other] = this.#found.values();
    if (other !== undefined) return other.vm.label;
    if (this.#rights?.isOurs === false) return '';
    const pid = this.#backend === 'simple' && id !== NO_ID ? id : this.#pid;
    return pid === undefined ? this.#name : String(pid);
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
