/**
 * task_newtask: a thread starts another thread or a process.
 *
 *   text     pid=187 comm=qemu-system-x86 clone_flags=3d0f00 oom_score_adj=0
 *   record   pid_t pid, char comm[16], unsigned long clone_flags, short oom_score_adj
 *
 * Source: include/trace/events/task.h; copy_process, kernel/fork.c (Linux 3.4 to 6.18; clone_flags is u64 since 6.18).
 * Only new threads of the same process are reported. The thread that raises the event is the one that starts the other.
 */
import type { EventForms } from '../format/event-forms.js';
import { fieldsEnd, readUnsigned } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { ascii, decimal, hexadecimalAfter, skipDigits, startsWith } from '../text/bytes.js';

export const TASK_NEWTASK = 'task_newtask';

/** Bit of clone_flags: the new thread belongs to the process of the one that starts it (include/uapi/linux/sched.h). */
const CLONE_THREAD = 0x0001_0000;
const PID = ascii('pid=');
const FLAGS = ascii('clone_flags=');

export const taskNewtask: EventForms = {
  record: (format, { sink, bigEndian }) => {
    const [pid, flags] = bindFields(format, bigEndian, 'pid', 'clone_flags');
    if (pid === undefined || flags === undefined) return undefined;
    return {
      needed: fieldsEnd([pid, flags]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        if (isThread(readUnsigned(view, record, flags)))
          sink.threadStart(timeNs, cpu, tid, readUnsigned(view, record, pid));
      },
    };
  },

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      if (!startsWith(bytes, line.argsStart, end, PID)) return false;
      const start = line.argsStart + PID.length;
      const pidEnd = skipDigits(bytes, start, end);
      const flags = hexadecimalAfter(bytes, pidEnd, end, FLAGS);
      if (pidEnd === start || Number.isNaN(flags)) return false;
      if (isThread(flags)) sink.threadStart(line.timeNs, line.cpu, line.tid, decimal(bytes, start, pidEnd));
      return true;
    },
};

function isThread(flags: number): boolean {
  return Math.floor(flags / CLONE_THREAD) % 2 === 1;
}
