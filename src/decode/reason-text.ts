/**
 * Exit reasons as text recordings spell them -> ids of their labels.
 *
 *   io | npf | UD excp | EPT_MISCONFIG | EXCEPTION_NMI FAILED_VMENTRY | EXIT_IOIO (trace-cmd) | 0xa2 (unknown to that kernel)
 *
 * A bare number means one thing to VMX and another to SVM. Which of the two a recording comes from is learned from the
 * first reason that has a name; a number met before stays as it is.
 */

import { hexadecimal } from './bytes.js';
import { canonicalReason, exitReasonLabel, isaOfLabel } from './exit-reasons.js';
import { userspaceReasonLabel } from './kvm-exit-table.js';
import type { Names } from './names.js';
import { latin1 } from './names.js';

export class ReasonText {
  readonly restart: number;
  readonly error: number;
  readonly #names: Names;
  readonly #userspace: number[] = [];
  readonly #s390: number[] = [];
  #isa: 'vmx' | 'svm' | undefined;

  constructor(names: Names) {
    this.#names = names;
    this.restart = names.id('restart');
    this.error = names.id('error');
  }

  /** A hardware reason of VMX or SVM. */
  x86(bytes: Uint8Array, start: number, end: number): number {
    const known = this.#names.find(bytes, start, end);
    return known >= 0 ? known : this.#learnX86(bytes, start, end);
  }

  /** A reason that is its own label. */
  plain(bytes: Uint8Array, start: number, end: number): number {
    return this.#names.intern(bytes, start, end);
  }

  /** scause in hexadecimal. The top bit of its 64 says interrupt, which a double keeps. */
  riscv(bytes: Uint8Array, start: number, end: number): number {
    const known = this.#names.find(bytes, start, end);
    if (known >= 0) return known;
    const id = this.#names.id(exitReasonLabel('riscv', hexadecimal(bytes, start, end)));
    this.#names.teach(bytes, start, end, id);
    return id;
  }

  /** An s390 interception code. */
  s390(code: number): number {
    return this.#byCode(this.#s390, code, (icptcode) => exitReasonLabel('s390', icptcode));
  }

  /** A KVM_EXIT number. */
  userspace(code: number): number {
    return this.#byCode(this.#userspace, code, userspaceReasonLabel);
  }

  #byCode(cache: number[], code: number, label: (code: number) => string): number {
    const known = cache[code];
    if (known !== undefined) return known;
    const id = this.#names.id(label(code));
    if (code < 256) cache[code] = id;
    return id;
  }

  #learnX86(bytes: Uint8Array, start: number, end: number): number {
    const text = latin1(bytes, start, end);
    if (!text.startsWith('0x')) {
      const label = canonicalReason(text);
      this.#isa ??= isaOfLabel(label);
      const id = this.#names.id(label);
      this.#names.teach(bytes, start, end, id);
      return id;
    }
    if (this.#isa === undefined) return this.#names.id(text);
    const id = this.#names.id(exitReasonLabel(this.#isa, hexadecimal(bytes, start, end)));
    this.#names.teach(bytes, start, end, id);
    return id;
  }
}
