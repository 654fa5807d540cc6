import { IRQFD_DEFERRED, IRQFD_NOTIFY, NOTIFY_WRITE, type QemuSignal, QUEUE_NOTIFY } from '../../trace/sink.js';

/** Kinds of {@link QemuSignals.counts}, in this order. */
export const SIGNAL_KINDS = ['ioeventfd', 'kick', 'irqfd', 'interrupt'] as const;
export const KICK_BY_IOEVENTFD = 0;
export const KICK_BY_EXIT = 1;
const INTERRUPT_BY_IRQFD = 2;
const INTERRUPT_BY_QEMU = 3;

/** Devices of one id that are counted separately. */
const MAX_DEVICES = 64;
/** Devices of one trace whose names are kept. */
const MAX_NAMES = 1024;
/** Announced exits that are still without a kick: a broken device takes no kicks. */
const MAX_ANNOUNCED = 16;

/**
 * Counts kicks and interrupts of virtio devices as QEMU's callbacks see them, by the id in the events and by device.
 *
 * - virtio_queue_notify is a kick. It was an exit if virtio_pci_notify_write with the same id came just before it, or
 *   if a vCPU's thread ran it (qemu-views.ts knows the threads); otherwise it came by ioeventfd.
 * - virtio_notify_irqfd is an interrupt by irqfd. QEMU 8.3 and later also has virtio_notify_irqfd_deferred_fn: it
 *   reports each interrupt by both events and then merges some, so from the first deferred event on only these are
 *   counted.
 */
export class QemuSignals {
  /** id -> device -> counts by kind. */
  readonly counts = new Map<number, Map<string, Float64Array>>();
  /** Pointer to the device -> its name. */
  readonly #names = new Map<number, string>();
  /** id -> device that its latest event was about. */
  readonly #latest = new Map<number, number>();
  /** id -> exits announced by virtio_pci_notify_write whose kick has not come yet. */
  readonly #announced = new Map<number, number>();
  /** True once a virtio_notify_irqfd_deferred_fn was seen. */
  #deferred = false;

  readonly #takeRoom: () => boolean;

  /** @param takeRoom called for each further device of an id; false if it is counted without its name */
  constructor(takeRoom: () => boolean = () => true) {
    this.#takeRoom = takeRoom;
  }

  signal(id: number, signal: QemuSignal, device: number): void {
    if (signal === NOTIFY_WRITE) {
      this.#announced.set(id, Math.min(MAX_ANNOUNCED, (this.#announced.get(id) ?? 0) + 1));
      return;
    }
    if (signal === IRQFD_NOTIFY && this.#deferred) return;
    if (signal === IRQFD_DEFERRED && !this.#deferred) {
      this.#deferred = true;
      // If virtio_notify_irqfd is traced, the one for this interrupt was counted before.
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

  /** Adds the counts of `from` to those of `to`, and drops `from`. */
  moveCounts(from: number, to: number): void {
    for (const [device, counts] of this.counts.get(from) ?? []) {
      const own = this.#countsOf(to, device);
      counts.forEach((count, kind) => {
        own[kind] = (own[kind] as number) + count;
      });
    }
    this.forget(from);
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
    const counts = this.#countsOf(id, this.#names.get(device) ?? '');
    counts[kind] = (counts[kind] as number) + 1;
  }

  #countsOf(id: number, device: string): Float64Array {
    let devices = this.counts.get(id);
    if (devices === undefined) {
      devices = new Map();
      this.counts.set(id, devices);
    }
    const hasRoom = devices.has(device) || (devices.size < MAX_DEVICES && this.#takeRoom());
    const name = hasRoom ? device : '';
    let counts = devices.get(name);
    if (counts === undefined) {
      counts = new Float64Array(SIGNAL_KINDS.length);
      devices.set(name, counts);
    }
    return counts;
  }
}
