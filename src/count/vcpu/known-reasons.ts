import type { Names } from '../../trace/names.js';
import { CounterLayout, MAX_REASONS } from './counter-layout.js';

/** The guest has nothing to do and says so: the time until it is woken is not lost to it. By the kernel's labels, all architectures. */
const IDLE = [
  'hlt',
  'HLT',
  'KVM_EXIT_HLT',
  'idle-halt',
  'mwait',
  'mwait_cond',
  'MWAIT_INSTRUCTION',
  'TPAUSE',
  'UMWAIT',
  'WFx',
  'IDLE',
  'Wait state',
];

/** Reasons that mean more to the ledger than a label, by their ids. */
export class KnownReasons {
  /** What led to a userspace exit where no kvm_exit did: the vCPU was not let in. */
  readonly none: number;
  /** By id: 1 where the vCPU waits for its guest to have something to do. */
  readonly idle = new Uint8Array(MAX_REASONS);
  readonly layout = new CounterLayout();
  readonly #svmIo: number;
  readonly #vmxIo: number;
  readonly #exitIo: number;
  readonly #exitMmio: number;

  constructor(names: Names) {
    this.none = names.id('none');
    this.#svmIo = names.id('io');
    this.#vmxIo = names.id('IO_INSTRUCTION');
    this.#exitIo = names.id('KVM_EXIT_IO');
    this.#exitMmio = names.id('KVM_EXIT_MMIO');
    for (const reason of IDLE) this.idle[names.id(reason)] = 1;
  }

  /** A userspace exit for an access to a port or to memory that only userspace can answer. */
  isIo(reason: number): boolean {
    return reason === this.#exitIo || reason === this.#exitMmio;
  }

  /**
   * The port of an IN, -1 for any other exit. In both encodings the port is in bits 31:16 of info1; IN is bit 3 for VMX (SDM vol. 3, table
   * 28-5, exit qualification for I/O instructions), bit 0 for SVM (APM vol. 2, 15.10.2, EXITINFO1 for IOIO).
   */
  inPort(reason: number, info1: number): number {
    if (reason !== this.#svmIo && reason !== this.#vmxIo) return -1;
    const isIn = reason === this.#vmxIo ? (info1 & 8) !== 0 : (info1 & 1) !== 0;
    return isIn ? (info1 >>> 16) & 0xffff : -1;
  }
}
