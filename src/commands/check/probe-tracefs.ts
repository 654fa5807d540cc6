/**
 * Looks at the kernel's tracing, for `check`. It creates an instance under a name of its own, removes it at once, and
 * changes nothing else.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ALL_NEEDED_EVENTS } from '../../decode/kvm/events.js';
import { defaultBufferSize, onlineCpus } from '../../source/tracefs/control/buffer-size.js';
import { findTracefs, type Tracefs } from '../../source/tracefs/find-tracefs.js';
import { kvmEvents, readFormats } from '../../source/tracefs/format-files.js';
import { probeInstance } from '../../source/tracefs/probe-instance.js';
import { AgentError } from '../../system/errors.js';
import { type Finding, fail, ok, warn } from './finding.js';

export interface TracefsProbe {
  /** Undefined if there is no tracefs, and none can be mounted. */
  readonly path: string | undefined;
  /** Why no instance can be created; the message names the remedy. */
  readonly problem: string | undefined;
  readonly copiesMarkers: boolean;
  /** Unmounts tracefs if the probe mounted it. */
  release(): void;
}

export function probeTracefs(given: string | undefined): TracefsProbe {
  let tracefs: Tracefs;
  try {
    tracefs = findTracefs(given);
  } catch (error) {
    return { path: undefined, problem: messageOf(error), copiesMarkers: false, release: () => {} };
  }
  const { path } = tracefs;
  const release = () => tracefs.release();
  try {
    const copiesMarkers = probeInstance(path, (instance) => existsSync(join(instance, 'options/copy_trace_marker')));
    return { path, problem: undefined, copiesMarkers, release };
  } catch (error) {
    return { path, problem: messageOf(error), copiesMarkers: false, release };
  }
}

export function checkTracefs({ path, problem }: TracefsProbe): Finding {
  if (problem !== undefined) return { level: 'FAIL', text: problem };
  return ok(`${path}: instances can be made and removed`);
}

const UNKNOWN = warn('not known without tracefs', 'see tracefs');

export function checkEvents({ path }: TracefsProbe): Finding {
  if (path === undefined) return UNKNOWN;
  const existing = kvmEvents(path);
  const needed = ALL_NEEDED_EVENTS.filter((event) => existing.includes(event));
  if (existing.length === 0)
    return fail(
      `${join(path, 'events/kvm')}: none`,
      'load the kvm module; if it is loaded, this kernel was built without CONFIG_TRACEPOINTS',
    );
  const exits = needed.some((event) => /^kvm_(s390_sie_)?exit$/.test(event));
  if (!needed.includes('kvm_userspace_exit'))
    return fail('no kvm_userspace_exit, so exits to QEMU cannot be seen', 'run Linux 2.6.37 or later');
  if (!exits) return warn(`${needed.join(', ')}; no kvm_exit, so only exits to QEMU are counted`, 'none known');
  return ok(needed.join(', '));
}

export function checkPages({ path }: TracefsProbe): Finding {
  if (path === undefined) return UNKNOWN;
  try {
    const { events, pageHeader } = readFormats(path);
    return ok(`binary: ${events.length} formats understood, pages of ${pageHeader.pageSize} bytes`);
  } catch (error) {
    return warn(
      `${messageOf(error)}; text is read instead, which costs much more CPU`,
      'report it as a bug, with this line',
    );
  }
}

/** @param bufferSize bytes of one CPU's buffer; undefined: the default */
export function checkBufferMemory(bufferSize: number | undefined, cpus = onlineCpus()): Finding {
  const size = bufferSize ?? defaultBufferSize(cpus);
  return ok(
    `${mib(size)} for each of ${cpus} CPUs, ${mib(size * cpus)} in all, of the kernel and in no cgroup's limit (--tracefs.buffer-size)`,
  );
}

function mib(bytes: number): string {
  return `${Number((bytes / (1 << 20)).toFixed(2)).toLocaleString('en-US')} MiB`;
}

export function checkMarkers({ path, problem, copiesMarkers }: TracefsProbe): Finding {
  if (path === undefined || problem !== undefined) return UNKNOWN;
  if (copiesMarkers) return ok('copy_trace_marker exists, for QEMU with the ftrace backend');
  return warn(
    'no copy_trace_marker: markers of QEMU (ftrace backend) reach the top-level buffer only',
    "run Linux 6.16 or later, or use QEMU's log or simple backend",
  );
}

export function checkHist({ path }: TracefsProbe): Finding {
  if (path === undefined) return UNKNOWN;
  if (existsSync(join(path, 'events/kvm/kvm_exit/hist'))) return ok('available');
  return ok('not in this kernel (CONFIG_HIST_TRIGGERS); not needed');
}

function messageOf(error: unknown): string {
  if (error instanceof AgentError) return error.message;
  throw error;
}
