/**
 * What the kernel remembered of the threads that raised events, saved from tracefs:
 *
 *   saved_cmdlines   7719 CPU 0/KVM        thread id, name
 *   saved_tgids      7719 7713             thread id, process id; empty unless the option record-tgid was on
 *
 * Source: kernel/trace/trace.c, trace_sched_switch.c (Linux 6.18). `<...>` is a name that the kernel has forgotten.
 */
import { join } from 'node:path';
import { tryReadText } from '../../../system/files.js';

export interface SavedThread {
  readonly tid: number;
  /** -1 if not saved. */
  readonly tgid: number;
  /** '' if not saved. */
  readonly comm: string;
}

/** The most threads that are kept. The kernel notes 128, unless its user raises saved_cmdlines_size. */
const MAX_THREADS = 1 << 18;

/** Empty if `tracefs` has neither file. */
export function readSavedThreads(tracefs: string): SavedThread[] {
  const [comms, tgids] = ['saved_cmdlines', 'saved_tgids'].map((file) => tryReadText(join(tracefs, file)));
  return parseSavedThreads(comms ?? '', tgids ?? '');
}

/** Parses the texts of saved_cmdlines and saved_tgids. */
export function parseSavedThreads(cmdlines: string, tgidLines = ''): SavedThread[] {
  const comms = new Map(linesOf(cmdlines));
  const tgids = new Map(linesOf(tgidLines).map(([tid, tgid]) => [tid, Number(tgid)]));
  const tids = new Set([...comms.keys(), ...tgids.keys()]);
  return Array.from(tids, (tid) => {
    const tgid = tgids.get(tid) ?? -1;
    const comm = comms.get(tid) ?? '';
    return { tid, tgid: tgid > 0 ? tgid : -1, comm: comm === '<...>' ? '' : comm };
  });
}

function linesOf(text: string): [tid: number, rest: string][] {
  const lines: [tid: number, rest: string][] = [];
  for (const [, tid, rest = ''] of text.matchAll(/^(\d+) (.*)$/gm)) {
    if (lines.push([Number(tid), rest]) === MAX_THREADS) break;
  }
  return lines;
}
