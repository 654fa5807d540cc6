import { MMIO_READ, MMIO_UNSATISFIED_READ, type MmioAccess } from '../../trace/sink.js';
import type { KeyTable } from '../counters/key-table.js';
import type { ExitTimer } from './exit-timer.js';
import { ioKey, pageOf, provenKernel, unproven } from './io-keys.js';
import type { Ioeventfds } from './ioeventfds.js';
import { isKernelDevice } from './pc-devices.js';

const NO_ADDRESS = -1;

/**
 * Counts a vCPU's accesses by address and by layer: answered by the kernel, or by userspace. The order of tracepoints
 * shows the layer:
 *
 *   access           answered by KVM       answered by userspace
 *   OUT, MMIO write  kvm_pio / kvm_mmio    kvm_pio / kvm_mmio, kvm_userspace_exit
 *   IN               kvm_pio               kvm_userspace_exit, kvm_pio
 *   MMIO read        kvm_mmio read         kvm_mmio unsatisfied-read, kvm_userspace_exit, kvm_mmio read
 *
 * For a read, kvm_pio and kvm_mmio come with the answer; for a write, before KVM looks for a device that takes it
 * (arch/x86/kvm/x86.c: emulator_pio_in, write_mmio, read_prepare; Linux 6.1 to 6.18)
 */
export class IoAccesses {
  readonly table: KeyTable;
  /**
   * Writes that the kernel took for an ioeventfd. If the VM's ioeventfds are unknown: writes that it took at an address
   * without a device of its own.
   */
  kicks = 0;
  /** The part of {@link kicks} that KVM itself called so (kvm_fast_mmio): certain in any trace. */
  fastKicks = 0;
  /** The VM's ioeventfds, if QEMU's trace has shown them. */
  ioeventfds: Ioeventfds | undefined;
  /** Port or page of the latest write, if no event has shown its layer yet. */
  #openWrite = NO_ADDRESS;
  /** Exact address of the open write. */
  #openWriteAddress = NO_ADDRESS;
  #isOpenWriteMmio = false;
  /** True after a userspace exit for a read, until the event with its answer. */
  #isAnswerDue = false;
  /** True if the read that the next answer belongs to has been counted already. */
  #isAnswerCounted = false;
  /** Port of the IN that kvm_exit reported, until the next exit or entry. */
  #inPort = NO_ADDRESS;
  /** True if the trace has shown what the thread did before: else its userspace exit may lie before the trace. */
  #isFollowed = false;

  readonly #timer: ExitTimer;

  /** @param timer measures how long userspace takes to answer an access; it has the table */
  constructor(timer: ExitTimer) {
    this.table = timer.accesses;
    this.#timer = timer;
  }

  portIo(write: boolean, port: number): void {
    if (write) this.#beginWrite(port, port, false);
    else this.#endRead(port, false);
    this.#isFollowed = true;
  }

  mmio(access: MmioAccess, gpa: number): void {
    const page = pageOf(gpa);
    if (access === MMIO_READ) this.#endRead(page, true);
    else if (access === MMIO_UNSATISFIED_READ) this.#beginUserspaceRead(page);
    else this.#beginWrite(page, gpa, true);
    this.#isFollowed = true;
  }

  fastMmio(gpa: number): void {
    this.kicks++;
    this.fastKicks++;
    this.table.add(provenKernel(ioKey(true, true, false, pageOf(gpa))));
  }

  /** kvm_userspace_exit with KVM_EXIT_IO or KVM_EXIT_MMIO. */
  userspaceExit(): void {
    this.#isFollowed = true;
    if (this.#openWrite === NO_ADDRESS) {
      this.#isAnswerDue = !this.#isAnswerCounted;
      return;
    }
    this.table.add(ioKey(this.#isOpenWriteMmio, true, true, this.#openWrite));
    this.#timer.isAccessOpen = true;
    this.#openWrite = NO_ADDRESS;
  }

  /** kvm_exit. `inPort`: the port that the guest's IN reads, -1 for any other exit. */
  exit(inPort: number): void {
    this.settleOpenAccess();
    this.#inPort = inPort;
  }

  /**
   * Counts an access that no event has settled so far: a write without a userspace exit stayed in the kernel. Call it
   * when the vCPU enters or leaves its guest.
   */
  settleOpenAccess(): void {
    this.#isFollowed = true;
    if (this.#openWrite !== NO_ADDRESS) this.#countKernelWrite();
    // A userspace exit for an IN whose kvm_pio never came: kvm_exit has the port.
    if (this.#isAnswerDue && this.#inPort !== NO_ADDRESS) this.table.add(ioKey(false, false, true, this.#inPort));
    this.#isAnswerDue = false;
    this.#isAnswerCounted = false;
    this.#inPort = NO_ADDRESS;
  }

  /** Ends the open access: events were lost, so its layer is unknown. */
  abandon(): void {
    this.#countUnprovenWrite();
    this.#isFollowed = false;
    this.#isAnswerDue = false;
    this.#isAnswerCounted = false;
    this.#inPort = NO_ADDRESS;
  }

  /** Counts the open access at the end of a recording: whether a userspace exit follows a write is not in it. */
  end(): void {
    this.#countUnprovenWrite();
    this.settleOpenAccess();
  }

  /** Adds the counts of `from`. */
  absorb(from: IoAccesses): void {
    this.kicks += from.kicks;
    this.fastKicks += from.fastKicks;
    this.table.absorb(from.table);
  }

  #beginWrite(portOrPage: number, address: number, mmio: boolean): void {
    if (this.#openWrite !== NO_ADDRESS) this.#countKernelWrite();
    this.#openWrite = portOrPage;
    this.#openWriteAddress = address;
    this.#isOpenWriteMmio = mmio;
  }

  /** Counts a read that userspace answers. The event with the answer is not another access. */
  #beginUserspaceRead(page: number): void {
    if (this.#openWrite !== NO_ADDRESS) this.#countKernelWrite();
    this.table.add(ioKey(true, false, true, page));
    this.#timer.isAccessOpen = true;
    this.#isAnswerCounted = true;
  }

  #endRead(portOrPage: number, mmio: boolean): void {
    if (this.#openWrite !== NO_ADDRESS) this.#countKernelWrite();
    if (!this.#isAnswerCounted) {
      this.#countRead(ioKey(mmio, false, this.#isAnswerDue, portOrPage));
      if (this.#isAnswerDue) this.#timer.isAccessOpen = true;
    }
    this.#isAnswerCounted = false;
    this.#isAnswerDue = false;
  }

  #countRead(key: number): void {
    this.table.add(this.#isFollowed || this.#isAnswerDue ? key : unproven(key));
  }

  #countUnprovenWrite(): void {
    if (this.#openWrite === NO_ADDRESS) return;
    this.table.add(unproven(ioKey(this.#isOpenWriteMmio, true, false, this.#openWrite)));
    this.#openWrite = NO_ADDRESS;
  }

  #countKernelWrite(): void {
    if (this.#isKick()) this.kicks++;
    this.table.add(ioKey(this.#isOpenWriteMmio, true, false, this.#openWrite));
    this.#openWrite = NO_ADDRESS;
  }

  #isKick(): boolean {
    if (this.ioeventfds?.isComplete === true) return this.ioeventfds.has(this.#isOpenWriteMmio, this.#openWriteAddress);
    return !isKernelDevice(this.#isOpenWriteMmio, this.#openWrite);
  }
}
