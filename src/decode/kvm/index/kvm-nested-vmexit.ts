/**
 * kvm_nested_vmexit: a guest of the guest (L2) left guest mode. kvm_exit reports the same exit, so this event only says
 * which of the exits are those of nested guests.
 *
 *   text   vcpu 0 reason EPT_VIOLATION rip 0xfffff80e info1 0x181 info2 0x0 intr_info 0x0 error_code 0x0
 *          rip: 0xfffff80e reason: EPT_VIOLATION ext_inf1: 0x181 ext_inf2: 0x0 ext_int: 0x0 ext_int_err: 0x0   (to 5.9)
 *          rip fffff80e reason EPT_VIOLATION info1 181 info2 0 int_info 0 int_info_err 0                (trace-cmd)
 *          CAN'T FIND FIELD "rip"<CANT FIND FIELD exit_code>vcpu 0 reason EPT_VIOLATION rip 0x0 info1 0x181 ..  (perf)
 *
 * The record is that of kvm_exit; before 5.10 it had `exit_code`. Source: arch/x86/kvm/trace.h; plugin_kvm.c of
 * libtraceevent 1.8.
 */
import { NESTED_EXIT, NoOpSink, type TraceSink } from '../../../trace/sink.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { ascii, indexOf } from '../../text/bytes.js';
import { TextReasons, x86Exit } from '../exit/x86-exit.js';

const OTHER_TEXTS = [
  { before: ascii(' reason: '), after: ascii(' ext_inf1: ') },
  // The guest chooses its rip, so it must not become part of the name.
  { before: ascii(' reason '), after: ascii(' rip ') },
  { before: ascii(' reason '), after: ascii(' info1 ') },
];

export const kvmNestedVmexit: KvmEvent = {
  names: ['kvm_nested_vmexit'],
  neededBy: ['indices'],

  record: (format, context) => {
    const fields = format.fields.map((field) =>
      field.name === 'exit_code' ? { ...field, name: 'exit_reason' } : field,
    );
    return x86Exit.record({ ...format, fields }, { ...context, sink: new NestedExits(context.sink) });
  },

  text: (context) => {
    const { sink } = context;
    const present = x86Exit.text({ ...context, sink: new NestedExits(sink) });
    const reasons = new TextReasons(context.vocabulary.reasons);
    return (bytes, end, line) => {
      if (present(bytes, end, line)) return true;
      for (const { before, after } of OTHER_TEXTS) {
        const at = indexOf(bytes, line.argsStart, end, before);
        const reasonEnd = at < 0 ? -1 : indexOf(bytes, at, end, after);
        if (reasonEnd <= at + before.length) continue;
        const reason = reasons.id(bytes, at + before.length, reasonEnd);
        sink.index(line.timeNs, line.cpu, line.tid, NESTED_EXIT, reason);
        return true;
      }
      return false;
    };
  },
};

/** Reports the exits of a nested guest by their reason. */
class NestedExits extends NoOpSink {
  readonly #sink: TraceSink;

  constructor(sink: TraceSink) {
    super();
    this.#sink = sink;
  }

  override vmExit(timeNs: number, cpu: number, tid: number, _vcpu: number, reason: number): void {
    this.#sink.index(timeNs, cpu, tid, NESTED_EXIT, reason);
  }
}
