/** Figures of the agent's own process, which every view shows in the same way. */
import { tryReadText } from '../system/files.js';
import { EventLoopStalls } from './event-loop-stalls.js';

let stalls: EventLoopStalls | undefined;

/** Measures stalls of the event loop from now on. */
export function measureStalls(): EventLoopStalls {
  stalls ??= new EventLoopStalls();
  return stalls;
}

/** The longest stalls of the event loop since {@link measureStalls} was called first. */
export function longestStall(): ReturnType<EventLoopStalls['longest']> {
  return measureStalls().longest();
}

/**
 * Bytes of resident memory at its peak; NaN if the kernel does not show it. It is the kernel's own figure, because
 * resourceUsage() may show that of the program that started this one.
 */
export function peakMemory(): number {
  return ownMemory('VmHWM');
}

/** Bytes of virtual memory; NaN if the kernel does not show it. */
export function virtualMemory(): number {
  return ownMemory('VmSize');
}

function ownMemory(field: string): number {
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(tryReadText('/proc/self/status') ?? '') ?? [];
  return Number(kilobytes) * 1024;
}
