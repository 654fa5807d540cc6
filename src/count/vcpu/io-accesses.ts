import { MMIO_READ, MMIO_UNSATISFIED_READ, type MmioAccess } from '../../trace/sink.js';
import { IoTable, ioKey } from './io-table.js';
import type { Ioeventfds } from './ioeventfds.js';
import { isKernelDevice } from './pc-devices.js';

const NONE = -1;
const PAGE_BYTES = 4096;

/**
 * Which addresses a vCPU accesses, and which of these accesses went to userspace. The tracepoints tell the access and the way it went apart:
 *
 *   OUT, MMIO write  kvm_pio / kvm_mmio write, then kvm_userspace_exit if it went to userspace
 *   IN               kvm_userspace_exit if it went there, then, with the answer, kvm_pio read
 *   MMIO read        kvm_mmio unsatisfied-read, which says that userspace is asked, kvm_userspace_exit, kvm_mmio read with the
 *                    answer; or only the last if KVM answered
 *
 * (arch/x86/kvm/x86.c, emulator_pio_in, write_mmio, read_prepare; Linux 6.1 to 6.18)
 */
export class IoAccesses {
  readonly table: IoTable;
  /** Writes that the kernel took at an ioeventfd's address; where those are not known: though it has no device there. */
  kicks = 0;
  /** Of this VM, as far as QEMU's trace tells. */
  ioeventfds: Ioeventfds | undefined;
  /** A write whose way the next event tells. */
  #announced = NONE;
  /** Its address where {@link #announced} is that of its page. */
  #announcedAddress = NONE;
  #announcedMmio = false;
  /** KVM_RUN returned for an access that is told with its answer. */
  #answerDue = false;
  /** The answer that will be told is of an access counted already. */
  #answerCounted = false;
  /** Port of the IN that the vCPU left its guest for, as kvm_exit says it. */
  #inPort = NONE;

  /** @param slots addresses to keep apart, see {@link IoTable} */
  constructor(slots: number | undefined) {
    this.table = new IoTable(slots);
  }

  portIo(write: boolean, port: number): void {
    if (write) this.#announce(port, port, false);
    else this.#answer(port, false);
  }

  mmio(access: MmioAccess, gpa: number): void {
    const page = gpa - (gpa % PAGE_BYTES);
    if (access === MMIO_READ) this.#answer(page, true);
    else if (access === MMIO_UNSATISFIED_READ) this.#ask(page);
    else this.#announce(page, gpa, true);
  }

  fastMmio(gpa: number): void {
    this.kicks++;
    this.table.add(ioKey(true, true, false, gpa - (gpa % PAGE_BYTES)));
  }

  /** KVM_RUN returned with KVM_EXIT_IO or KVM_EXIT_MMIO. */
  userspaceExit(): void {
    if (this.#announced === NONE) {
      this.#answerDue = !this.#answerCounted;
      return;
    }
    this.table.add(ioKey(this.#announcedMmio, true, true, this.#announced));
    this.#announced = NONE;
  }

  /** kvm_exit. `inPort`: the port that the guest's IN reads, -1 for any other exit. */
  exit(inPort: number): void {
    this.settleOpenAccess();
    this.#inPort = inPort;
  }

  /**
   * Counts an access that no event has settled so far: a write without a userspace exit stayed in the kernel. Call it when the vCPU enters or
   * leaves its guest, and at the end of a recording.
   */
  settleOpenAccess(): void {
    if (this.#announced !== NONE) this.#keep();
    // A userspace exit for a read whose kvm_pio never came: kvm_exit has the port.
    if (this.#answerDue && this.#inPort !== NONE) this.table.add(ioKey(false, false, true, this.#inPort));
    this.#answerDue = false;
    this.#answerCounted = false;
    this.#inPort = NONE;
  }

  /** Events are missing: what was open is not known any more. */
  abandon(): void {
    this.#announced = NONE;
    this.#answerDue = false;
    this.#answerCounted = false;
    this.#inPort = NONE;
  }

  /** Adds what `from` counted. */
  absorb(from: IoAccesses): void {
    this.kicks += from.kicks;
    this.table.absorb(from.table);
  }

  #announce(address: number, exact: number, mmio: boolean): void {
    if (this.#announced !== NONE) this.#keep();
    this.#announced = address;
    this.#announcedAddress = exact;
    this.#announcedMmio = mmio;
  }

  /** Userspace is asked; its answer is not another access. */
  #ask(page: number): void {
    if (this.#announced !== NONE) this.#keep();
    this.table.add(ioKey(true, false, true, page));
    this.#answerCounted = true;
  }

  #answer(address: number, mmio: boolean): void {
    if (this.#announced !== NONE) this.#keep();
    if (!this.#answerCounted) this.table.add(ioKey(mmio, false, this.#answerDue, address));
    this.#answerCounted = false;
    this.#answerDue = false;
  }

  #keep(): void {
    if (this.#isKick()) this.kicks++;
    this.table.add(ioKey(this.#announcedMmio, true, false, this.#announced));
    this.#announced = NONE;
  }

  #isKick(): boolean {
    if (this.ioeventfds?.isComplete === true) return this.ioeventfds.has(this.#announcedMmio, this.#announcedAddress);
    return !isKernelDevice(this.#announcedMmio, this.#announced);
  }
}
