/** What the kernel's tracing allows, for `check`. Makes an instance for a moment, under a name of its own; changes nothing else. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ALL_NEEDED_EVENTS } from '../../decode/kvm/events.js';
import { findTracefs, type Tracefs } from '../../source/tracefs/find-tracefs.js';
import { kvmEvents, readFormats } from '../../source/tracefs/format-files.js';
import { probeInstance } from '../../source/tracefs/probe-instance.js';
import { AgentError } from '../../system/errors.js';
import { type Finding, fail, ok, warn } from './finding.js';

export interface TracefsProbe {
  /** Undefined where there is none to be had. */
  readonly path: string | undefined;
  /** What is wrong with it. */
  readonly problem: string | undefined;
  readonly copiesMarkers: boolean;
  /** Takes back what looking did. */
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

/** The messages of {@link AgentError} name the remedy. */
export function checkTracefs({ path, problem }: TracefsProbe): Finding {
  if (problem !== undefined) return { level: 'FAIL', text: problem };
  return ok(`${path}: instances can be made and removed`);
}

const NOT_KNOWN = warn('not known without tracefs', 'see there');

export function checkEvents({ path }: TracefsProbe): Finding {
  if (path === undefined) return NOT_KNOWN;
  const there = kvmEvents(path);
  const needed = ALL_NEEDED_EVENTS.filter((event) => there.includes(event));
  if (there.length === 0)
    return fail(
      `${join(path, 'events/kvm')}: none`,
      'load the kvm module; if it is loaded, this kernel was built without CONFIG_TRACEPOINTS',
    );
  const exits = needed.some((event) => /^kvm_(s390_sie_)?exit$/.test(event));
  if (!needed.includes('kvm_userspace_exit'))
    return fail('no kvm_userspace_exit, so exits to QEMU are not to be seen', 'a kernel from 2.6.37 on');
  if (!exits) return warn(`${needed.join(', ')}; no kvm_exit, so only exits to QEMU are counted`, 'none known');
  return ok(needed.join(', '));
}

export function checkPages({ path }: TracefsProbe): Finding {
  if (path === undefined) return NOT_KNOWN;
  try {
    const { events, pageHeader } = readFormats(path);
    return ok(`binary: ${events.length} formats understood, pages of ${pageHeader.pageSize} bytes`);
  } catch (error) {
    return warn(`${messageOf(error)}; text is read instead, which costs much more CPU`, 'report it with this line');
  }
}

export function checkMarkers({ path, problem, copiesMarkers }: TracefsProbe): Finding {
  if (path === undefined || problem !== undefined) return NOT_KNOWN;
  if (copiesMarkers) return ok('copy_trace_marker is there, for QEMU with the ftrace backend');
  return warn(
    'no copy_trace_marker: markers of QEMU (ftrace backend) reach the top-level buffer only',
    "a newer kernel (6.16 on), or QEMU's log or simple backend",
  );
}

export function checkHist({ path }: TracefsProbe): Finding {
  if (path === undefined) return NOT_KNOWN;
  if (existsSync(join(path, 'events/kvm/kvm_exit/hist'))) return ok('there');
  return ok('not in this kernel (CONFIG_HIST_TRIGGERS); not needed');
}

function messageOf(error: unknown): string {
  if (error instanceof AgentError) return error.message;
  throw error;
}
