import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chosenCollectors } from '../config/chosen-collectors.js';
import type { Invocation } from '../config/parse-command-line.js';
import { neededEvents } from '../decode/kvm/events.js';
import { CaptureFile, requireUnused } from '../source/recording/capture-file.js';
import { type Captured, PageCapture } from '../source/recording/page-capture.js';
import { captureFormats } from '../source/recording/trace-dat-head.js';
import { defaultBufferSize } from '../source/tracefs/control/buffer-size.js';
import { findTracefs } from '../source/tracefs/find-tracefs.js';
import { selectEvents } from '../source/tracefs/select-events.js';
import { TracingInstance } from '../source/tracefs/tracing-instance.js';
import { tryReadBytes } from '../system/files.js';
import { log } from '../system/log.js';
import { print, printable } from '../system/printable.js';
import { findProcfs } from '../vm/host/find-procfs.js';
import { noteKvmStatistics } from '../vm/host/kvm-statistics.js';
import { VmCapture } from '../vm/vm-capture.js';

import { stopSignal } from './serving/stop-signal.js';

/** Longest and shortest time between two looks at the buffers and at new processes. */
const MAX_TICK_MS = 50;
const MIN_TICK_MS = 10;
/** If a buffer is fuller than this, the time between two looks shrinks. */
const HIGH_WATER = 1 / 8;
/** Time between two looks at all processes and CPUs. */
const SCAN_MS = 250;

/** Saves the events of all VMs on this host, with everything that is needed to read them elsewhere. */
export async function record(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  requireUnused(get('output'));
  const procfs = findProcfs(get('path.procfs'));
  const signal = stopSignal();
  const tracefs = findTracefs(get('path.tracefs'));
  try {
    const events = selectEvents(tracefs.path, get('tracefs.events'), neededEvents(chosenCollectors(get)));
    const name = get('tracefs.instance');
    const bufferSize = get('tracefs.buffer-size') ?? defaultBufferSize();
    const instance = TracingInstance.make(tracefs.path, { name, bufferSize });
    try {
      await recordInstance(instance, events, { ...invocation, procfs, bufferSize, signal });
    } finally {
      instance.removeFrom(tracefs, get('path.tracefs'));
    }
  } finally {
    tracefs.release();
  }
}

interface RecordOptions {
  readonly procfs: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  readonly signal: AbortSignal;
}

async function recordInstance(
  instance: TracingInstance,
  events: readonly string[],
  { get, procfs, bufferSize, signal }: Invocation & RecordOptions,
): Promise<void> {
  const output = get('output');
  const seconds = get('duration');
  const length = seconds === undefined ? 'until Ctrl-C' : `${seconds} s`;
  const capture = new CaptureFile(output, captureFormats(instance.path, events, instance.subBufferSize));
  const pages = new PageCapture(instance.path, instance.subBufferSize, output);
  const vms = new VmCapture(procfs);
  try {
    pages.openNewCpus();
    vms.scan();
    const before = noteKvmStatistics('start');
    instance.start(events);
    const started = noteKvmStatistics('started');
    log('info', 'recording', { path: output, for: length, instance: instance.path, events: events.join(',') });
    const endMs = performance.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000;
    await captureUntil(endMs, pages, vms, bufferSize, signal);
    const stopping = noteKvmStatistics('stopping');
    instance.stop();
    const after = noteKvmStatistics('end');
    vms.scan();
    const captured = pages.finish();
    const cmdlines = tryReadBytes(join(instance.tracefs, 'saved_cmdlines')) ?? Buffer.alloc(0);
    const notes = [vms.notes(), before, started, stopping, after].join('');
    capture.finish(pages.files(), pages.stats(), { notes, cmdlines });
    const summary = summaryOf(captured, vms.labels);
    print(
      `${summary}\nWritten to ${printable(output)}. Count it with: kvm-exit-exporter report ${printable(output)}\n`,
    );
  } finally {
    vms.close();
    pages.close();
    capture.close();
  }
}

async function captureUntil(
  endMs: number,
  pages: PageCapture,
  vms: VmCapture,
  bufferSize: number,
  signal: AbortSignal,
): Promise<void> {
  let tickMs = MIN_TICK_MS;
  let nextScanMs = 0;
  for (let nowMs = performance.now(); nowMs < endMs && !signal.aborted; nowMs = performance.now()) {
    const fill = pages.drain() / bufferSize;
    tickMs = fill > HIGH_WATER ? Math.max(MIN_TICK_MS, tickMs / 2) : Math.min(MAX_TICK_MS, tickMs * 1.25);
    if (nowMs >= nextScanMs) {
      nextScanMs = nowMs + SCAN_MS;
      pages.openNewCpus();
      vms.scan();
    } else vms.scanNew();
    await sleep(Math.min(tickMs, endMs - nowMs), undefined, { signal }).catch(() => {});
  }
}

function summaryOf({ events, bytes, lost }: Captured, vms: ReadonlySet<string>): string {
  const amount = (count: number) => count.toLocaleString('en-US');
  const loss =
    lost === 0 ? 'none lost.' : `${amount(lost)} lost: a larger --tracefs.buffer-size or a faster disk helps.`;
  return [
    `Recorded ${amount(events)} events (${amount(bytes)} bytes of pages); ${loss}`,
    `VMs seen: ${vms.size === 0 ? 'none' : [...vms].map((vm) => printable(vm)).join(', ')}.`,
  ].join('\n');
}
