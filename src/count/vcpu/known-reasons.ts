import type { Names } from '../../trace/names.js';
import { CounterLayout, MAX_REASONS } from './counter-layout.js';
import { IDLE, INTERRUPTED } from './exit-timer.js';

/**
 * Reasons of exits by which a guest that has nothing to do waits to be woken: the kernel's labels, of all
 * architectures.
 */
export const IDLE_REASONS: readonly string[] = [
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
  'KVM_EXIT_AP_RESET_HOLD',
  // An SEV-ES guest hides from the host whether such an exit is a HLT or something else.
  'vmgexit',
  'vmgexit_ap_hlt_loop',
];

/** Ids of the exit reasons that are more than a label to the counters. */
export class KnownReasons {
  /** Cause of a userspace exit without a kvm_exit before it: the vCPU did not enter the guest. */
  readonly none: number;
  /** Reason -> {@link IDLE}, {@link INTERRUPTED}, or 0. */
  readonly kinds = new Uint8Array(MAX_REASONS);
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
    for (const reason of IDLE_REASONS) this.kinds[names.id(reason)] = IDLE;
    this.kinds[names.id('restart')] = INTERRUPTED;
  }

  /** True for a userspace exit for port I/O or MMIO. */
  isIo(reason: number): boolean {
    return reason === this.#exitIo || reason === this.#exitMmio;
  }

  /**
   * Port of an IN, -1 for any other exit. The port is in bits 31:16 of info1. An IN has bit 3 set on VMX (SDM vol. 3,
   * table 28-5, exit qualification for I/O instructions), bit 0 on SVM (APM vol. 2, 15.10.2, EXITINFO1 for IOIO).
   */
  inPort(reason: number, info1: number): number {
    if (reason !== this.#svmIo && reason !== this.#vmxIo) return -1;
    const isIn = reason === this.#vmxIo ? (info1 & 8) !== 0 : (info1 & 1) !== 0;
    return isIn ? (info1 >>> 16) & 0xffff : -1;
  }
}
