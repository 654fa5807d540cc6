/**
 * Reports VMs at the moment KVM creates them (HOST): each gets a folder in debugfs, which inotify reports.
 *
 *   /sys/kernel/debug/kvm/187-11     thread 187 created it, file descriptor 11 (kvm_create_vm_debugfs,
 *                                    virt/kvm/kvm_main.c, Linux 4.8 to 6.18)
 *
 * In QEMU that thread is the process's first one. In cloud-hypervisor and Dragonball it is not.
 *
 * This saves checking for new processes ten times a second. It is impossible without debugfs (as in a container),
 * without the right to read it, or before the kvm module is loaded: each `renew` tries again.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';

export class VmWatcher {
  readonly #folder: string;
  readonly #onVm: (tid: number) => void;
  #watcher: FSWatcher | undefined;
  /** Inode of the watched folder: it changes when the kvm module is loaded again. */
  #inode = 0;

  /** @param onVm called with the id of the thread that created a VM, when KVM creates it and when it is destroyed */
  constructor(folder: string, onVm: (tid: number) => void) {
    this.#folder = folder;
    this.#onVm = onVm;
  }

  /** True if new VMs are reported. */
  get isWatching(): boolean {
    return this.#watcher !== undefined;
  }

  /** Watches the folder that exists now. */
  renew(): void {
    try {
      const inode = statSync(this.#folder).ino;
      if (inode === this.#inode && this.isWatching) return;
      this.close();
      this.#watcher = watch(this.#folder, { persistent: false }, (_, name) => {
        const tid = /^(\d+)-\d+$/.exec(name ?? '')?.[1];
        if (tid !== undefined) this.#onVm(Number(tid));
      });
      this.#watcher.on('error', () => this.close());
      this.#inode = inode;
    } catch {
      this.close(); // The folder is missing or hidden from this user, or there are too many watches.
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
