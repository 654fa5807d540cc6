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

/** Threads reported at once. The next scan finds the VMs of all other threads. */
const MAX_REPORTED = 256;

export class VmWatcher {
  readonly #folder: string;
  readonly #onVms: (tids: ReadonlySet<number>) => void;
  /** Threads that were seen in this turn of the event loop. */
  #seen = new Set<number>();
  #watcher: FSWatcher | undefined;
  /** Inode of the watched folder: it changes when the kvm module is loaded again. */
  #inode = 0;

  /**
   * @param onVms called with the ids of threads that created VMs, when KVM creates them and when they are destroyed;
   *   once in a turn of the event loop
   */
  constructor(folder: string, onVms: (tids: ReadonlySet<number>) => void) {
    this.#folder = folder;
    this.#onVms = onVms;
  }

  /** True if new VMs are reported. */
  get isWatching(): boolean {
    return this.#watcher !== undefined;
  }

  /** Watches the folder that exists now. Returns true if that is another one than before. */
  renew(): boolean {
    try {
      const inode = statSync(this.#folder).ino;
      if (inode === this.#inode && this.isWatching) return false;
      this.close();
      this.#watcher = watch(this.#folder, { persistent: false }, (_, name) => {
        const tid = /^(\d+)-\d+$/.exec(name ?? '')?.[1];
        if (tid !== undefined) this.#see(Number(tid));
      });
      this.#watcher.on('error', () => this.close());
      this.#inode = inode;
      return true;
    } catch {
      this.close(); // The folder is missing or hidden from this user, or there are too many watches.
      return false;
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /**
   * libuv calls back for one event after the other for as long as there are any, and does nothing else meanwhile. So
   * the work is left to the end of the turn: otherwise VMs without end would keep requests waiting without end.
   */
  #see(tid: number): void {
    if (this.#seen.size === 0) setImmediate(() => this.#report());
    if (this.#seen.size < MAX_REPORTED) this.#seen.add(tid);
  }

  #report(): void {
    const seen = this.#seen;
    this.#seen = new Set();
    if (this.isWatching) this.#onVms(seen);
  }
}
