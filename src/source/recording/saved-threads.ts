/**
 * What a kernel remembers of the threads that raised events, saved from tracefs:
 *
 *   saved_cmdlines   7719 CPU 0/KVM        thread id, name
 *   saved_tgids      7719 7713             thread id, process id; empty unless the option record-tgid was on
 *
 * Source: kernel/trace/trace.c, trace_sched_switch.c (Linux 6.18). `<...>` is a name that the kernel has forgotten.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SavedThread {
  readonly tid: number;
  /** -1 where not saved. */
  readonly tgid: number;
  /** '' where not saved. */
  readonly comm: string;
}

/** Empty where `tracefs` has neither file. */
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
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  return [...text.matchAll(/^(\d+) (.*)$/gm)].map(([, tid, rest = '']) => [Number(tid), rest]);
}
