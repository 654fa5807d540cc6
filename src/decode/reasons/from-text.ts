/**
 * Exit reasons as text recordings spell them -> ids of their labels.
 *
 *   io | npf | UD excp | EPT_MISCONFIG | EXCEPTION_NMI FAILED_VMENTRY | EXIT_IOIO (trace-cmd) | 0xa2 (unknown to that kernel)
 *
 * A bare number means one thing to VMX and another to SVM. Which of the two a recording comes from is learned from the
 * first reason that has a name; a number met before stays as it is.
 */

import { latin1, type Names } from '../../trace/names.js';
import { hexadecimal } from '../text/bytes.js';
import { canonicalReason, exitReasonLabel, isaOfLabel, riscvCauseLabel } from './hardware.js';
import { ReasonInterner } from './reason-interner.js';
import { userspaceReasonLabel } from './userspace.js';

export class ReasonText {
  readonly restart: number;
  readonly error: number;
  readonly #names: Names;
  readonly #userspace: ReasonInterner;
  readonly #s390: ReasonInterner;
  #isa: 'vmx' | 'svm' | undefined;

  constructor(names: Names) {
    this.#names = names;
    this.#userspace = new ReasonInterner(names, userspaceReasonLabel);
    this.#s390 = new ReasonInterner(names, (icptcode) => exitReasonLabel('s390', icptcode));
    this.restart = names.id('restart');
    this.error = names.id('error');
  }

  /** A hardware reason of VMX or SVM. */
  x86(bytes: Uint8Array, start: number, end: number): number {
    const known = this.#names.find(bytes, start, end);
    return known >= 0 ? known : this.#learnX86(bytes, start, end);
  }

  /** An exception class of arm64, by name, or in hexadecimal where that kernel had no name for it. */
  arm64(bytes: Uint8Array, start: number, end: number): number {
    return this.#learn(bytes, start, end, (text) =>
      text.startsWith('0x') ? exitReasonLabel('arm64', hexadecimal(bytes, start, end)) : text,
    );
  }

  /** scause in hexadecimal. Its top bit says interrupt; a double has no room for that bit and the cause below it. */
  riscv(bytes: Uint8Array, start: number, end: number): number {
    return this.#learn(bytes, start, end, (text) => {
      const digits = text.replace(/^0x/, '');
      const interrupt = (digits.length === 16 || digits.length === 8) && Number.parseInt(digits.slice(0, 1), 16) >= 8;
      return riscvCauseLabel(interrupt, Number.parseInt(interrupt ? digits.slice(1) : digits, 16));
    });
  }

  /** A reason that is its own label. */
  plain(bytes: Uint8Array, start: number, end: number): number {
    return this.#names.intern(bytes, start, end);
  }

  /** An s390 interception code. */
  s390(code: number): number {
    return this.#s390.id(code);
  }

  /** A KVM_EXIT number. */
  userspace(code: number): number {
    return this.#userspace.id(code);
  }

  #learn(bytes: Uint8Array, start: number, end: number, label: (text: string) => string): number {
    const known = this.#names.find(bytes, start, end);
    if (known >= 0) return known;
    const id = this.#names.id(label(latin1(bytes, start, end)));
    this.#names.teach(bytes, start, end, id);
    return id;
  }

  #learnX86(bytes: Uint8Array, start: number, end: number): number {
    const label = canonicalReason(latin1(bytes, start, end));
    if (!label.startsWith('0x')) this.#isa ??= isaOfLabel(label);
    // A number that may get its name later is not taught as a spelling.
    else if (this.#isa === undefined) return this.#names.id(label);
    else return this.#learn(bytes, start, end, () => exitReasonLabel(this.#isa ?? 'vmx', Number(label)));
    return this.#learn(bytes, start, end, () => label);
  }
}
