/**
 * A directory of saved ring-buffer pages, written by `record` or by hand.
 *
 *   DIR/cpu0.raw  cpu1.raw.gz ...       reads of per_cpu/cpuN/trace_pipe_raw, one after the other; also in DIR/raw/
 *   DIR/tracefs/                        or DIR/../tracefs, or --path.tracefs
 *     events/header_page, events/kvm/*\/format ...
 *     buffer_subbuf_size_kb             present if sub-buffers are not one page of 4 KiB
 *     trace_clock                       `local [mono] boot`: shows whether times are nanoseconds
 *     byte_order                        `BE` if the machine is big-endian
 *     saved_cmdlines, saved_tgids       names and processes of threads
 *   DIR/proc/ or DIR/fixture/proc/      /proc of the VMs
 *   DIR/stats/cpuN                      per_cpu/cpuN/stats: events lost after the last page
 *   DIR/debugfs-kvm/                    /sys/kernel/debug/kvm of VMs that were recorded from their start on
 *
 * A recording that was killed leaves pages too, beside each other: `trace.dat.cpu0`, `trace.dat.cpu1` ... (trace-cmd,
 * and `record`). Their formats come from --path.tracefs.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '../../../system/errors.js';
import { isDirectory } from '../../../system/files.js';
import { readSavedOverruns } from '../../tracefs/cpu-stats.js';
import { type CpuFile, leftoverFiles, pagesOf, rawPageFiles, totalSize } from './page-files.js';
import { nsPerTickOf, type PageRecording } from './page-recording.js';
import { NO_WARNINGS } from './recording-warnings.js';
import { readSavedFormats, savedClock } from './saved-formats.js';
import { readSavedThreads } from './saved-threads.js';

/**
 * @param tracefs a copy of the host's tracefs; undefined: the one in or beside the recording
 * @throws AgentError if there are no pages, or no formats to decode them by
 */
export function openPageDirectory(path: string, tracefs: string | undefined): PageRecording {
  const cpus = [path, join(path, 'raw')]
    .filter(isDirectory)
    .map(rawPageFiles)
    .find((files) => files.length > 0);
  if (cpus === undefined)
    throw new AgentError(
      `${path}: is a directory without pages (cpu0.raw, cpu1.raw.gz ...); to read other recordings in it, name the files`,
    );
  const saved = tracefs ?? [join(path, 'tracefs'), join(path, '../tracefs')].find(hasHeaderPage);
  if (saved === undefined)
    throw new AgentError(
      `${path}: no tracefs/events/ in it, which says how to read the pages; give a copy of that host's: --path.tracefs=DIR`,
    );
  const procfs = [join(path, 'proc'), join(path, 'fixture/proc')].find(isDirectory);
  const kvmDebugfs = [join(path, 'debugfs-kvm')].find(isDirectory);
  return { ...recordingOf(path, cpus, saved), procfs, kvmDebugfs, overruns: readSavedOverruns(path) };
}

/**
 * Opens the pages that were to become the file at `path`.
 * @throws AgentError if no copy of tracefs is given
 */
export function openLeftovers(path: string, tracefs: string | undefined): PageRecording {
  if (tracefs === undefined)
    throw new AgentError(
      `${path}.cpu0 ...: pages of a recording that was killed, which do not say how to read them; give the tracefs of that host, or a copy of it: --path.tracefs=DIR`,
    );
  return recordingOf(path, leftoverFiles(path), tracefs);
}

function recordingOf(path: string, files: readonly CpuFile[], tracefs: string): PageRecording {
  const formats = readSavedFormats(tracefs);
  const cpus = files.map((file) => pagesOf(file, formats.pageHeader.pageSize));
  return {
    path,
    size: totalSize(files),
    formats,
    buffers: [{ nsPerTick: nsPerTickOf(savedClock(tracefs)), cpus }],
    savedThreads: readSavedThreads(tracefs),
    procfs: undefined,
    kvmDebugfs: undefined,
    notes: '',
    overruns: new Map(),
    overrunsFillGaps: true,
    warnings: () => NO_WARNINGS,
  };
}

function hasHeaderPage(tracefs: string): boolean {
  return existsSync(join(tracefs, 'events/header_page'));
}
