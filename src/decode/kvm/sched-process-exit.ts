/**
 * sched_process_exit: a thread ends (a thread, not only a process). The kernel may give its id to another one at once.
 *
 *   text     comm=CPU 0/KVM pid=187 prio=120
 *   record   char comm[16], pid_t pid, int prio, bool group_dead
 *
 * Source: include/trace/events/sched.h; do_exit, kernel/exit.c (Linux 2.6.28 to 6.18). Only the thread that raises the
 * event is used: it is the one that ends. After it, that thread raises no event of KVM.
 */
import type { EventForms } from '../format/event-forms.js';

export const SCHED_PROCESS_EXIT = 'sched_process_exit';

export const schedProcessExit: EventForms = {
  record: (_format, { sink }) => ({
    needed: 0,
    read: ({ timeNs }, _record, _end, cpu, tid) => sink.threadExit(timeNs, cpu, tid),
  }),

  text:
    ({ sink }) =>
    (_bytes, _end, line) => {
      sink.threadExit(line.timeNs, line.cpu, line.tid);
      return true;
    },
};
