import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, release, version } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Invocation } from '../config/parse-command-line.js';
import { neededEvents } from '../decode/kvm/events.js';
import { type Captured, PageCapture } from '../source/recording/page-capture.js';
import { captureFormats, captureThreadNames } from '../source/recording/tracefs-capture.js';
import { findTracefs } from '../source/tracefs/find-tracefs.js';
import { selectEvents } from '../source/tracefs/select-events.js';
import { TracingInstance } from '../source/tracefs/tracing-instance.js';
import { AgentError, fileError, isGone } from '../system/errors.js';
import { log } from '../system/log.js';
import { VERSION } from '../system/version.js';
import { NEW_MS, ProcCopy } from '../vm/host/proc-copy.js';
import { Inventory } from '../vm/inventory.js';
import { collectorsOf } from './run.js';
import { stopSignal } from './serving/stop-signal.js';

interface RecordOptions {
  readonly output: string;
  /** Undefined: until a signal. */
  readonly durationMs: number | undefined;
  readonly procfs: string;
  readonly bufferSize: number;
  readonly argv: readonly string[];
}

/** Longest and shortest time between two looks at the buffers, and for new processes: a VM may live for a moment only. */
const SLOWEST_TICK_MS = 50;
const FASTEST_TICK_MS = 10;
/** A buffer fuller than this: come more often. */
const HIGH_WATER = 1 / 8;
const SCAN_MS = 250;

/** Saves the kernel's trace of all VMs, with all that it takes to read it elsewhere. */
export async function record({ get, argv }: Invocation): Promise<void> {
  const duration = get('duration');
  const options: RecordOptions = {
    output: freeDirectory(get('output')),
    durationMs: duration === undefined ? undefined : duration * 1000,
    procfs: get('path.procfs') ?? '/proc',
    bufferSize: get('tracefs.buffer-size'),
    argv,
  };
  const signal = stopSignal();
  const tracefs = findTracefs(get('path.tracefs'));
  try {
    const events = selectEvents(tracefs.path, get('tracefs.events'), neededEvents(collectorsOf(get)));
    const instance = TracingInstance.make(tracefs.path, {
      name: get('tracefs.instance'),
      bufferSize: options.bufferSize,
    });
    try {
      process.stdout.write(await recordInstance(instance, events, options, signal));
    } finally {
      instance.removeFrom(tracefs, get('path.tracefs'));
    }
  } finally {
    tracefs.release();
  }
}

/** Returns what to tell the user. */
async function recordInstance(
  instance: TracingInstance,
  events: readonly string[],
  options: RecordOptions,
  signal: AbortSignal,
): Promise<string> {
  const { output, durationMs } = options;
  makeDirectory(output);
  captureFormats(instance.path, events, join(output, 'tracefs'));
  writeReadme(options, events, undefined);
  const capture = new PageCapture(instance.path, instance.subBufferSize, output);
  const vms = new VmRecorder(options.procfs, join(output, 'proc'));
  try {
    capture.openNewCpus();
    vms.scan();
    instance.start(events);
    log('info', 'recording', { to: output, for: until(durationMs), instance: instance.path, events: events.join(',') });
    await loop(capture, vms, options, signal);
    instance.stop();
    vms.scan();
    const captured = capture.finish();
    captureThreadNames(instance.tracefs, join(output, 'tracefs'));
    const summary = summaryOf(captured, vms.labels);
    writeReadme(options, events, summary);
    return `${summary}\nWritten to ${output}. Count it with: kvm-exit-exporter report ${output}\n`;
  } finally {
    capture.close();
  }
}

async function loop(
  capture: PageCapture,
  vms: VmRecorder,
  { durationMs = Number.POSITIVE_INFINITY, bufferSize }: RecordOptions,
  signal: AbortSignal,
): Promise<void> {
  const endMs = performance.now() + durationMs;
  let tickMs = FASTEST_TICK_MS;
  let nextScanMs = 0;
  for (let nowMs = performance.now(); nowMs < endMs && !signal.aborted; nowMs = performance.now()) {
    const fill = capture.drain() / bufferSize;
    tickMs = fill > HIGH_WATER ? Math.max(FASTEST_TICK_MS, tickMs / 2) : Math.min(SLOWEST_TICK_MS, tickMs * 1.25);
    if (nowMs >= nextScanMs) {
      nextScanMs = nowMs + SCAN_MS;
      capture.openNewCpus();
      vms.scan();
    } else vms.notice();
    await sleep(Math.min(tickMs, endMs - nowMs), undefined, { signal }).catch(() => {});
  }
}

/** The VMs of the host, each saved as soon as it is seen. */
class VmRecorder {
  /** Of every VM seen. */
  readonly labels = new Set<string>();
  readonly #inventory: Inventory;
  readonly #copy: ProcCopy;
  #newUntilMs = Number.NEGATIVE_INFINITY;

  constructor(procfs: string, target: string) {
    this.#inventory = new Inventory({ procfs, live: true });
    this.#copy = new ProcCopy(procfs, target);
  }

  scan(): void {
    const nowMs = performance.now();
    this.#inventory.scan(nowMs);
    this.#save(nowMs);
  }

  /** Between scans: those that have just been started. */
  notice(): void {
    const nowMs = performance.now();
    if (this.#inventory.notice(nowMs).started.length > 0) this.#newUntilMs = nowMs + NEW_MS;
    if (nowMs < this.#newUntilMs) this.#save(nowMs);
  }

  #save(nowMs: number): void {
    const running = this.#inventory.vms().filter(({ stoppedMs }) => Number.isNaN(stoppedMs));
    for (const { label } of running) this.labels.add(label);
    this.#copy.update([...running.map(({ pid }) => pid), ...this.#inventory.helpers()], nowMs);
  }
}

function freeDirectory(path: string): string {
  let entries: string[];
  try {
    entries = readdirSync(path);
  } catch (error) {
    if (isGone(error)) return path;
    throw fileError(path, error);
  }
  if (entries.length > 0) throw new AgentError(`${path}: is not empty; give a directory that does not exist yet`);
  return path;
}

/** For its owner only: command lines are in it. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(path, error);
  }
}

function until(durationMs: number | undefined): string {
  return durationMs === undefined ? 'until Ctrl-C' : `${durationMs / 1000} s`;
}

function summaryOf({ events, bytes, lost }: Captured, vms: ReadonlySet<string>): string {
  const amount = (count: number) => count.toLocaleString('en-US');
  return [
    `Recorded ${amount(events)} events (${amount(bytes)} bytes of pages); ${lost === 0 ? 'none' : amount(lost)} lost${
      lost === 0 ? '.' : ': a larger --tracefs.buffer-size or a faster disk helps.'
    }`,
    `VMs seen: ${vms.size === 0 ? 'none' : [...vms].join(', ')}.`,
  ].join('\n');
}

function writeReadme(options: RecordOptions, events: readonly string[], summary: string | undefined): void {
  const { output, argv, durationMs } = options;
  const path = join(output, 'README.md');
  const text = `# Recording of KVM's trace

Read it with \`kvm-exit-exporter report DIR\`, where DIR is this directory, wherever it is.

- Host: Linux ${release()} ${version()}, ${process.arch}, ${cpus().length} x ${cpus()[0]?.model ?? 'CPU'}
- Date: ${new Date().toISOString()}, ${until(durationMs)}
- Command: \`kvm-exit-exporter ${argv.join(' ')}\`, version ${VERSION}
- Events: ${events.join(', ')}

${summary ?? 'The recording was not finished: statistics and names of threads are missing.'}

| file | what |
|---|---|
| cpuN.raw | sub-buffers of CPU N's ring buffer, as read from trace_pipe_raw |
| tracefs/ | formats of the events, header_page, clock, sub-buffer size, names of threads |
| stats/cpuN | the buffer's own statistics at the end: events read and lost |
| proc/ | /proc of the VMs' processes. **Command lines are in it: look for secrets before you pass it on** |
`;
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw fileError(path, error);
  }
}
