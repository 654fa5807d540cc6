import { IRQFD_DEFERRED, IRQFD_NOTIFY, NOTIFY_WRITE, type QemuSignal, QUEUE_NOTIFY } from '../../trace/sink.js';

/** Kinds of {@link QemuSignals.counts}, in this order. */
export const SIGNAL_KINDS = ['ioeventfd', 'kick', 'irqfd', 'interrupt'] as const;
export const KICK_BY_IOEVENTFD = 0;
export const KICK_BY_EXIT = 1;
export const INTERRUPT_BY_IRQFD = 2;
export const INTERRUPT_BY_QEMU = 3;

/** Devices of one id that are told apart; of one trace, whose names are kept. */
const MAX_DEVICES = 64;
const MAX_NAMES = 1024;
/** Exits announced whose kick was not seen: a device that is broken takes none. */
const MAX_ANNOUNCED = 16;

/**
 * Kicks and interrupts of virtio devices as QEMU's callbacks see them, by the id that the events carry and by device.
 *
 * virtio_queue_notify says that there was a kick. It was an exit where virtio_pci_notify_write announced it, just
 * before and by the same id, or where a vCPU's thread ran it, which is not known here; else an ioeventfd brought it. A
 * QEMU with virtio_notify_irqfd_deferred_fn (8.3+) tells of each interrupt twice and then merges some: from the first
 * of these events on, only they count.
 */
export class QemuSignals {
  /** id -> device -> counts by kind. */
  readonly counts = new Map<number, Map<string, Float64Array>>();
  readonly #names = new Map<number, string>();
  /** id -> device it spoke of last. */
  readonly #latest = new Map<number, number>();
  readonly #announced = new Map<number, number>();
  #deferred = false;

  signal(id: number, signal: QemuSignal, device: number): void {
    if (signal === NOTIFY_WRITE) {
      this.#announced.set(id, Math.min(MAX_ANNOUNCED, (this.#announced.get(id) ?? 0) + 1));
      return;
    }
    if (signal === IRQFD_NOTIFY && this.#deferred) return;
    if (signal === IRQFD_DEFERRED && !this.#deferred) {
      this.#deferred = true;
      // Its virtio_notify_irqfd was counted, if that event is on.
      if (this.#hasIrqfds(id)) return;
    }
    this.#add(id, this.#kindOf(id, signal), device);
  }

  device(id: number, device: number, name: string): void {
    const pointer = device === 0 ? (this.#latest.get(id) ?? 0) : device;
    if (pointer === 0) return;
    this.#latest.set(id, pointer);
    const known = this.#names.get(pointer);
    if (name === '' || name === known || (known !== undefined && device === 0)) return;
    if (known !== undefined || this.#names.size < MAX_NAMES) this.#names.set(pointer, name);
  }

  forget(id: number): void {
    this.counts.delete(id);
    this.#latest.delete(id);
    this.#announced.delete(id);
  }

  rename(id: number, other: number): void {
    for (const [device, counts] of this.counts.get(id) ?? []) {
      const own = this.#cells(other, device);
      counts.forEach((count, kind) => {
        own[kind] = (own[kind] as number) + count;
      });
    }
    this.forget(id);
  }

  #kindOf(id: number, signal: QemuSignal): number {
    if (signal !== QUEUE_NOTIFY)
      return signal === IRQFD_NOTIFY || signal === IRQFD_DEFERRED ? INTERRUPT_BY_IRQFD : INTERRUPT_BY_QEMU;
    const announced = this.#announced.get(id) ?? 0;
    if (announced === 0) return KICK_BY_IOEVENTFD;
    this.#announced.set(id, announced - 1);
    return KICK_BY_EXIT;
  }

  #hasIrqfds(id: number): boolean {
    for (const counts of this.counts.get(id)?.values() ?? [])
      if ((counts[INTERRUPT_BY_IRQFD] as number) > 0) return true;
    return false;
  }

  #add(id: number, kind: number, device: number): void {
    const cells = this.#cells(id, this.#names.get(device) ?? '');
    cells[kind] = (cells[kind] as number) + 1;
  }

  #cells(id: number, device: string): Float64Array {
    let devices = this.counts.get(id);
    if (devices === undefined) {
      devices = new Map();
      this.counts.set(id, devices);
    }
    const name = devices.has(device) || devices.size < MAX_DEVICES ? device : '';
    let cells = devices.get(name);
    if (cells === undefined) {
      cells = new Float64Array(SIGNAL_KINDS.length);
      devices.set(name, cells);
    }
    return cells;
  }
}
