/**
 * VMs at the moment KVM makes them (HOST): each gets a folder in debugfs, and inotify tells of it.
 *
 *   /sys/kernel/debug/kvm/187-11     process 187, its file 11: kvm_create_vm_debugfs, virt/kvm/kvm_main.c (Linux 4.8 to 6.18)
 *
 * So nobody has to look for new processes ten times a second. Where it can't be done - no debugfs, as in a container,
 * no right, kvm not loaded - it is tried again at each `renew`.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';

export class VmWatcher {
  readonly #folder: string;
  readonly #onVm: (pid: number) => void;
  #watcher: FSWatcher | undefined;
  /** Of the folder watched: kvm may be loaded anew. */
  #inode = 0;

  /** @param onVm called with the id of a process that makes a VM; also when the VM goes */
  constructor(folder: string, onVm: (pid: number) => void) {
    this.#folder = folder;
    this.#onVm = onVm;
  }

  /** Whether new VMs are told. */
  get isWatching(): boolean {
    return this.#watcher !== undefined;
  }

  /** Watches the folder that is there now. */
  renew(): void {
    try {
      const inode = statSync(this.#folder).ino;
      if (inode === this.#inode && this.isWatching) return;
      this.close();
      this.#watcher = watch(this.#folder, { persistent: false }, (_, name) => {
        const pid = /^(\d+)-\d+$/.exec(name ?? '')?.[1];
        if (pid !== undefined) this.#onVm(Number(pid));
      });
      this.#watcher.on('error', () => this.close());
      this.#inode = inode;
    } catch {
      this.close(); // not there, not permitted, or too many watches: processes are looked for instead
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
