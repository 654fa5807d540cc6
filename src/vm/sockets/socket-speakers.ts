import { tryFileId } from '../../system/files.js';
import { SeldomLog } from '../../system/seldom-log.js';
import { findSocketServers } from '../host/open-files.js';
import type { Inventory } from '../inventory.js';
import type { Vm } from '../tables/vm.js';
import { hasStopped, type QmpIdentity, vmsOfIdentity } from './qmp-identity.js';

interface Speaker {
  /** The VMs that the socket may speak for. */
  readonly vms: readonly Vm[];
  /** Device and inode of the socket's file. */
  readonly fileId: string;
  /** Time of the next search if no VM serves the socket. */
  readonly retryMs: number;
}

/** Pause before the processes are searched again for a socket that no VM serves: longer if the search took long. */
const RETRY_MS = 1500;
const PAUSE_PER_BUSY_MS = 20;
const MAX_SOCKETS = 4096;
const ROOT = 0;

/**
 * The VMs that control sockets may speak for. Any user may make a socket that answers like the QEMU of another VM. So a
 * socket speaks only for the VM whose process listens on it. If the agent may not see the descriptors of that process,
 * the owner of the socket's file decides: it is the user that the VM runs as, or root.
 */
export class SocketSpeakers {
  readonly #inventory: Inventory;
  readonly #procfs: string;
  readonly #seldom = new SeldomLog();
  readonly #speakers = new Map<string, Speaker>();
  /** Sockets that were logged because they answer for a VM that does not serve them. */
  readonly #impostors = new Set<string>();
  #search: Promise<void> = Promise.resolve();

  constructor(inventory: Inventory, procfs: string) {
    this.#inventory = inventory;
    this.#procfs = procfs;
  }

  /** Searches the processes of VMs for those that serve the sockets. What is known and has not changed is kept. */
  async search(paths: readonly string[]): Promise<void> {
    const earlier = this.#search;
    this.#search = earlier.then(() => this.#searchNow(paths));
    await this.#search;
  }

  /** True if a VM's process serves the socket: other sockets are not worth a question. */
  isServed(path: string): boolean {
    return (this.#speakers.get(path)?.vms.length ?? 0) > 0;
  }

  /**
   * The same sockets in another order: first one of each VM, then a second of each, and so on. A VM may have thousands
   * that are silent, and each takes seconds.
   */
  inTurns<T extends { readonly path: string }>(sockets: readonly T[]): T[] {
    const turns = new Map<Vm | undefined, number>();
    const ranked = sockets.map((socket) => {
      const vm = this.#speakers.get(socket.path)?.vms[0];
      const turn = turns.get(vm) ?? 0;
      turns.set(vm, turn + 1);
      return { socket, turn };
    });
    return ranked.sort((a, b) => a.turn - b.turn).map(({ socket }) => socket);
  }

  /** The VM that a socket speaks for, by its answer; undefined if it is not known, or not that of the socket. */
  vmOf(path: string, identity: QmpIdentity): Vm | undefined {
    const own = vmsOfIdentity(this.#speakers.get(path)?.vms ?? [], identity);
    if (own.length > 0) return own.length === 1 ? own[0] : undefined;
    const [vm] = vmsOfIdentity(this.#running(), identity);
    if (vm === undefined) return undefined;
    if (this.#impostors.size >= MAX_SOCKETS) this.#impostors.clear();
    if (!this.#impostors.has(path))
      this.#seldom.few('warn', 'impostor', 'ignoring a control socket that answers for a VM that does not serve it', {
        path,
        vm: vm.label,
      });
    this.#impostors.add(path);
    return undefined;
  }

  #running(): readonly Vm[] {
    return this.#inventory.vms().filter((vm) => !hasStopped(vm));
  }

  async #searchNow(paths: readonly string[]): Promise<void> {
    const nowMs = performance.now();
    this.#dropGone();
    const ids = new Map(paths.flatMap((path) => idOf(path)));
    const isDue = (path: string) => {
      const known = this.#speakers.get(path);
      if (known === undefined || known.fileId !== ids.get(path)) return true;
      return this.isServed(path) ? known.vms.some(hasStopped) : nowMs >= known.retryMs;
    };
    const due = new Set([...ids.keys()].filter(isDue));
    if (due.size === 0) return;
    // A search takes as long for one socket as for many.
    const unknown = [...ids.keys()].filter((path) => due.has(path) || !this.isServed(path));
    if (this.#speakers.size + unknown.length > MAX_SOCKETS) this.#speakers.clear();
    const vms = this.#running();
    try {
      const pids = vms.map(({ pid }) => pid);
      const { byPath, ownerOf, hidden, busyMs } = await findSocketServers(this.#procfs, pids, unknown);
      const retryMs = performance.now() + Math.max(RETRY_MS, busyMs * PAUSE_PER_BUSY_MS);
      for (const path of unknown) {
        const servers = vms.filter(({ pid }) => byPath.get(path)?.includes(pid) === true);
        const uid = ownerOf.get(path);
        const ofOwner = vms.filter((vm) => hidden.has(vm.pid) && (uid === ROOT || uid === vm.uid));
        const speaking = servers.length > 0 ? servers : ofOwner;
        this.#speakers.set(path, { vms: speaking, fileId: ids.get(path) ?? '', retryMs });
      }
    } catch (error) {
      this.#seldom.warn('search', 'cannot find out which VMs serve the control sockets', { err: String(error) });
    }
  }

  /** Most VMs that end take their sockets with them, and the next VMs have new ones. */
  #dropGone(): void {
    for (const path of this.#speakers.keys()) if (tryFileId(path) === undefined) this.#speakers.delete(path);
  }
}

/** The socket with the id of its file; empty if there is none. */
function idOf(path: string): [path: string, fileId: string][] {
  const fileId = tryFileId(path);
  return fileId === undefined ? [] : [[path, fileId]];
}
