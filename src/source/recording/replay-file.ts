import { FtraceTextDecoder } from '../../decode/ftrace/text-decoder.js';
import { QemuLogDecoder } from '../../decode/qemu/log-decoder.js';
import { QemuSimpleDecoder } from '../../decode/qemu/simple-decoder.js';
import type { TraceEvents } from '../../decode/qemu/trace-events.js';
import { AgentError } from '../../system/errors.js';
import type { QemuSink, TraceSink, Vocabulary } from '../../trace/sink.js';
import type { ReadEnd, Recording } from './open-file.js';

/** Where the events of a recording go: a kernel trace has more to say than a trace of QEMU. */
export interface ReplaySinks {
  readonly kernel: () => TraceSink;
  readonly qemu: (backend: 'log' | 'simple') => QemuSink;
}

export interface ReplayOptions {
  readonly vocabulary: Vocabulary;
  readonly traceEvents?: TraceEvents | undefined;
}

/** Takes a recording's bytes, piece by piece. */
export interface RecordingReader {
  push(chunk: Uint8Array): void;
  /** The recording is over. */
  end(how: ReadEnd): void;
  /** What the user should know of how the recording was made, a line each. */
  warnings(): string[];
}

/** @throws AgentError from push or end where the file as a whole cannot be used */
export function readerOf(recording: Recording, sinks: ReplaySinks, options: ReplayOptions): RecordingReader {
  return READERS[recording.format](recording.path, sinks, options);
}

/** Reads a recording to its end. */
export async function replay(
  recording: Recording,
  reader: RecordingReader,
  onRead?: (bytes: number) => void,
): Promise<void> {
  const chunks = recording.chunks(onRead);
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return reader.end(next.value);
    reader.push(next.value);
  }
}

const READERS: Record<
  Recording['format'],
  (path: string, sinks: ReplaySinks, options: ReplayOptions) => RecordingReader
> = {
  'ftrace-text': readFtraceText,
  'qemu-log': readQemuLog,
  'qemu-simple': readQemuSimple,
};

function readFtraceText(path: string, sinks: ReplaySinks, { vocabulary }: ReplayOptions): RecordingReader {
  const sink = sinks.kernel();
  const decoder = new FtraceTextDecoder(vocabulary, sink);
  return {
    push: (chunk) => decoder.push(chunk),
    end: (how) => {
      decoder.end();
      if (how === 'cut') sink.malformed('truncated');
      if (decoder.rawLines > 0) throw new AgentError(`${path}: ${RAW}`);
    },
    warnings: () => (decoder.bareLines > 0 ? [`${path}: ${BARE}`] : []),
  };
}

const RAW =
  'recorded with the trace option raw, which leaves out the names and reasons of events; record it again after `echo noraw > trace_options`';
const BARE =
  'recorded with the trace option nocontext-info, which leaves out threads: exits are counted, but not by VM; `echo context-info > trace_options` keeps them';

function readQemuLog(_path: string, sinks: ReplaySinks, { vocabulary, traceEvents }: ReplayOptions): RecordingReader {
  const sink = sinks.qemu('log');
  const knownEvents = traceEvents && new Set(traceEvents.events.map(({ name }) => name));
  const decoder = new QemuLogDecoder(vocabulary, sink, knownEvents ? { knownEvents } : {});
  return {
    push: (chunk) => decoder.push(chunk),
    end: (how) => {
      decoder.end();
      if (how === 'cut') sink.malformed('truncated');
    },
    warnings: () => [],
  };
}

const NUMBERED =
  'a simple trace that numbers its events instead of naming them; give the trace-events-all of the QEMU that wrote it: --qemu.trace-events=FILE';

function readQemuSimple(path: string, sinks: ReplaySinks, { vocabulary, traceEvents }: ReplayOptions): RecordingReader {
  const sink = sinks.qemu('simple');
  const decoder = new QemuSimpleDecoder(vocabulary, sink, traceEvents ? { traceEvents } : {});
  const check = () => {
    if (decoder.problem !== undefined) throw new AgentError(`${path}: ${decoder.problem}`);
    if (decoder.needsTraceEvents) throw new AgentError(`${path}: ${NUMBERED}`);
  };
  return {
    push: (chunk) => {
      decoder.push(chunk);
      check();
    },
    end: (how) => {
      decoder.end();
      check();
      if (how === 'cut') sink.malformed('truncated');
    },
    warnings: () => [],
  };
}
