/**
 * kvm_exit: a vCPU leaves guest mode and KVM takes over. Every architecture has its own record and its own text; the
 * fields of the record and the first word of the text show which one it is. s390 has kvm_s390_sie_exit instead, ppc64
 * with KVM HV kvm_guest_exit.
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { arm64Exit } from './exit/arm64-exit.js';
import { loongarchExit } from './exit/loongarch-exit.js';
import { ppcExit } from './exit/ppc-exit.js';
import { riscvExit } from './exit/riscv-exit.js';
import { unknownExit } from './exit/unknown-exit.js';
import { x86Exit } from './exit/x86-exit.js';

export const kvmExit: KvmEvent = {
  names: ['kvm_exit'],
  neededBy: 'always',

  record: (format, context) =>
    x86Exit.record(format, context) ??
    arm64Exit.record(format, context) ??
    riscvExit.record(format, context) ??
    loongarchExit.record(format, context) ??
    ppcExit.record(format, context) ??
    unknownExit.record(format, context),

  text: (context) => {
    const x86 = x86Exit.text(context);
    const riscv = riscvExit.text(context);
    const loongarch = loongarchExit.text(context);
    const arm64 = arm64Exit.text(context);
    const ppc = ppcExit.text(context);
    const unknown = unknownExit.text(context);
    return (bytes, end, line) =>
      x86(bytes, end, line) ||
      arm64(bytes, end, line) ||
      riscv(bytes, end, line) ||
      loongarch(bytes, end, line) ||
      ppc(bytes, end, line) ||
      unknown(bytes, end, line);
  },
};
