import type { TraceEvents } from '../../../decode/qemu/trace-events.js';
import type { QemuSink, TraceSink, Vocabulary } from '../../../trace/sink.js';
import type { PageRecording } from '../pages/page-recording.js';
import type { Packing, ReadEnd } from '../pages/read-chunks.js';

/**
 * A format of recording files. To add one, write its decoder and a file beside this one, and list it in all-formats.ts.
 */
export interface RecordingFormat {
  /** What a file of this format is, in words for the user. */
  readonly name: string;
  /** True if a file that begins like this is of the format. `head`: unpacked, at most 1 MiB. */
  matches(head: Uint8Array): boolean;
  /**
   * Reads what stands at the end of a file but is needed from its start. Returns the format, bound to what it found.
   * Formats without this method can be read from a pipe.
   * @throws AgentError if the file cannot be used
   */
  readAhead?(path: string, packing: Packing): Promise<RecordingFormat>;
  /** @param path of the file, for messages */
  createReader(path: string, sinks: ReplaySinks, options: ReplayOptions): RecordingReader;
}

/** A format of files that hold ring-buffer pages and say where each CPU's are. */
export interface PageFormat {
  readonly name: string;
  matches(head: Uint8Array): boolean;
  /**
   * @param tracefs a copy of the host's tracefs, for a file whose own copy is damaged
   * @throws AgentError if the file cannot be used
   */
  openPages(path: string, packing: Packing, tracefs: string | undefined): Promise<PageRecording>;
}

/** A file that other tools write and that cannot be read, but is known by its first bytes. */
export interface UnreadableFormat {
  /** First bytes of the file, as latin1. */
  readonly magic: string;
  /** What the file is, and what to do about it. */
  readonly advice: string;
}

/** Decodes the content of a recording, chunk by chunk. */
export interface RecordingReader {
  /** @throws AgentError if the file as a whole cannot be used */
  push(chunk: Uint8Array): void;
  /** To be called after the last chunk. @throws AgentError if the file as a whole cannot be used */
  end(how: ReadEnd): void;
  /** What the user should know about how the recording was made, one line each. */
  warnings(): string[];
}

/** Makes the sink for the events of a recording: of the kernel, or of QEMU alone. */
export interface ReplaySinks {
  readonly kernel: () => TraceSink;
  readonly qemu: (backend: 'log' | 'simple') => QemuSink;
}

export interface ReplayOptions {
  readonly vocabulary: Vocabulary;
  /** The list of trace events of the QEMU that wrote the recording. */
  readonly traceEvents?: TraceEvents | undefined;
  /** A copy of the host's tracefs, for files that do not say how to read them. */
  readonly tracefs?: string | undefined;
}
