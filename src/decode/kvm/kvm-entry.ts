/**
 * kvm_entry: a vCPU goes back to guest mode. loongarch: kvm_enter, kvm_reenter.
 *
 *   text     vcpu 0, rip 0xfff0                        x86; `vcpu 0` before Linux 5.6
 *            PC: 0x0000000040080000                    other architectures, which name no vCPU
 *            vcpu: 0 PC: 0x0000000040080000            kvm_entry_v2 of Android's kernels
 *   record   53 06 01 01  bb 00 00 00                  common_type 1619, common_pid 187
 *            00 00 00 00  .. .. .. ..  f0 ff 00 00 ..  vcpu_id 0, rip 0xfff0, immediate_exit
 *
 * Recorded on Linux 6.12 (x86). Source: arch/x86/kvm/trace.h, arch/{arm64,riscv,loongarch}/kvm/trace*.h (Linux 6.18).
 * Not used: rip, immediate_exit and what newer kernels add.
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readInt } from '../format/record-field.js';
import { bindFields, type ReaderBuilder } from '../format/record-reader.js';
import { ascii, decimal, SPACE, startsWith } from '../text/bytes.js';

const VCPU = ascii('vcpu');
const COLON = 0x3a;
const PC = ascii('PC: ');

export const kvmEntry: KvmEvent = {
  names: ['kvm_entry', 'kvm_enter', 'kvm_reenter'],
  neededBy: ['duration'],

  record: entryReader('vcpu_id'),

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const { argsStart } = line;
      const namesVcpu = startsWith(bytes, argsStart, end, VCPU);
      const blank = argsStart + VCPU.length + (bytes[argsStart + VCPU.length] === COLON ? 1 : 0);
      const vcpu = namesVcpu && bytes[blank] === SPACE ? decimal(bytes, blank + 1, end) : -1;
      if (namesVcpu ? vcpu < 0 : !startsWith(bytes, argsStart, end, PC)) return false;
      sink.vmEntry(line.timeNs, line.cpu, line.tid, vcpu);
      return true;
    },
};

/** Reads an entry. A record without the field is an entry too, of a vCPU that is not named. */
export function entryReader(vcpuField: string): ReaderBuilder {
  return (format, { sink, bigEndian }) => {
    const [vcpuId] = bindFields(format, bigEndian, vcpuField);
    return {
      needed: fieldsEnd([vcpuId]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        sink.vmEntry(timeNs, cpu, tid, vcpuId === undefined ? -1 : readInt(view, record, vcpuId));
      },
    };
  };
}
