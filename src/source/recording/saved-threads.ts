/**
 * What the kernel remembered of the threads that raised events, saved from tracefs:
 *
 *   saved_cmdlines   7719 CPU 0/KVM        thread id, name
 *   saved_tgids      7719 7713             thread id, process id; empty unless the option record-tgid was on
 *
 * Source: kernel/trace/trace.c, trace_sched_switch.c (Linux 6.18). `<...>` is a name that the kernel has forgotten.
 */
import { join } from 'node:path';
import { tryReadText } from '../../system/files.js';

export interface SavedThread {
  readonly tid: number;
  /** -1 if not saved. */
  readonly tgid: number;
  /** '' if not saved. */
  readonly comm: string;
}

/** Empty if `tracefs` has neither file. */
export function readSavedThreads(tracefs: string): SavedThread[] {
  const comms = new Map(linesOf(join(tracefs, 'saved_cmdlines')));
  const tgids = new Map(linesOf(join(tracefs, 'saved_tgids')).map(([tid, tgid]) => [tid, Number(tgid)]));
  const tids = new Set([...comms.keys(), ...tgids.keys()]);
  return Array.from(tids, (tid) => {
    const tgid = tgids.get(tid) ?? -1;
    const comm = comms.get(tid) ?? '';
    return { tid, tgid: tgid > 0 ? tgid : -1, comm: comm === '<...>' ? '' : comm };
  });
}

function linesOf(path: string): [tid: number, rest: string][] {
  const text = tryReadText(path) ?? '';
  return [...text.matchAll(/^(\d+) (.*)$/gm)].map(([, tid, rest = '']) => [Number(tid), rest]);
}
