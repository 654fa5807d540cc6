import type { TraceEvents } from '../../../decode/qemu/trace-events.js';
import type { QemuSink, TraceSink, Vocabulary } from '../../../trace/sink.js';
import type { PageRecording } from '../pages/page-recording.js';
import type { Packing, ReadEnd } from '../pages/read-chunks.js';
import type { RecordingWarnings } from '../pages/recording-warnings.js';

/**
 * A format of recording files. To add one, write its decoder and a file beside this one, and list it in all-formats.ts.
 */
export interface RecordingFormat {
  /** What a file of this format is, in words for the user. */
  readonly name: string;
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
  /** As that of {@link BinaryFormat}. */
  matches(head: Uint8Array): boolean;
  /**
   * @param tracefs a copy of the host's tracefs, for a file whose own copy is damaged
   * @throws AgentError if the file cannot be used
   */
  openPages(path: string, packing: Packing, tracefs: string | undefined): Promise<PageRecording>;
}

/** A format that the first bytes of a file show. */
export interface BinaryFormat extends RecordingFormat {
  /** True if a file that begins like this is of the format. `head`: unpacked, 512 bytes unless the file is shorter. */
  matches(head: Uint8Array): boolean;
}

/** A format of text, whose first event may come behind any number of other lines. */
export interface TextFormat extends RecordingFormat {
  createRecogniser(): TextRecogniser;
}

/** Looks at a file line by line until it finds an event of the format. */
export interface TextRecogniser {
  /** True if an event has been found. `line` is plain text without its line end, see TextCleaner. */
  hasEvent(line: Uint8Array): boolean;
  /**
   * True if the lines so far may be a file of the format although none is certain to be an event. Asked at the end of
   * the file.
   */
  readonly isLikely: boolean;
}

/** A file that other tools write and that cannot be read, but is known by its first bytes. */
export interface UnreadableFormat {
  /** Bytes of the file, as latin1. */
  readonly magic: string;
  /** Position of these bytes, if not at the start. */
  readonly at?: number;
  /** What the file is, and what to do about it. */
  readonly advice: string;
}

/** Text that other tools write and that has no events in it, but sums of them, or events in a form that is not read. */
export interface OtherText {
  readonly pattern: RegExp;
  /** What the text is, and what to do about it. */
  readonly advice: string;
}

/** Decodes the content of a recording, chunk by chunk. */
export interface RecordingReader {
  /** True if `push` copies what it needs of a chunk, so that the memory may be used again. */
  readonly copiesChunks?: boolean;
  /** @throws AgentError if the file as a whole cannot be used */
  push(chunk: Uint8Array): void;
  /** To be called after the last chunk. @throws AgentError if the file as a whole cannot be used */
  end(how: ReadEnd): void;
  /** Complete after {@link end}. */
  warnings(): RecordingWarnings;
  /** Exits to QEMU of which the recording does not tell whether they were failed calls of KVM_RUN; undefined: none. */
  readonly undecidedExits?: number;
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
