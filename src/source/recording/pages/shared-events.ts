/** Finds out whether several buffers of a trace.dat hold the same kinds of events. */
import type { EventFormats } from '../../../decode/format/event-format.js';
import { PageCursor } from '../../../decode/ftrace/page-cursor.js';
import { PageStream } from '../../../decode/ftrace/page-stream.js';
import { RecordDecoder } from '../../../decode/ftrace/record-decoder.js';
import { Names } from '../../../trace/names.js';
import { NoOpSink } from '../../../trace/sink.js';
import type { CpuPages } from './page-recording.js';

/** Events that stand for an exit: counted in two buffers, the exit counts twice. */
const EXITS = ['kvm_exit', 'kvm_userspace_exit'];

/** CPUs of a buffer whose first page is read. If a buffer has exits at all, one of so many CPUs begins with some. */
const MAX_CPUS = 64;

/**
 * Returns the events of exits that more than one buffer holds.
 * @param buffers the pages of the CPUs of each buffer
 */
export async function sharedExitEvents(
  buffers: readonly (readonly CpuPages[])[],
  formats: EventFormats,
): Promise<string[]> {
  const seen: ReadonlySet<string>[] = [];
  for (const cpus of buffers) seen.push(await firstEvents(cpus.slice(0, MAX_CPUS), formats));
  return EXITS.filter((name) => seen.filter((names) => names.has(name)).length > 1);
}

async function firstEvents(cpus: readonly CpuPages[], formats: EventFormats): Promise<ReadonlySet<string>> {
  const vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
  const sink = new SeenTracepoints();
  const decoder = new RecordDecoder({ formats, vocabulary, sink });
  for (const { cpu, pageSize, chunks } of cpus) {
    const pages = chunks(undefined);
    const first = await pages.next();
    await pages.return('whole');
    if (first.done === true || first.value === undefined) continue;
    const stream = new PageStream(pageSize);
    stream.push(first.value);
    const page = stream.next();
    const cursor = new PageCursor(decoder, cpu);
    if (page !== undefined) cursor.load(page);
    cursor.run(Number.POSITIVE_INFINITY);
  }
  return new Set([...sink.names].map((name) => vocabulary.tracepoints.text(name)));
}

class SeenTracepoints extends NoOpSink {
  readonly names = new Set<number>();

  override tracepoint(_timeNs: number, _cpu: number, _tid: number, name: number): void {
    this.names.add(name);
  }
}
