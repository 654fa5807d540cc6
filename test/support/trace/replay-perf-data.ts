import {
  describePerfFile,
  describePipe,
  isPipeForm,
  type PerfFile,
  parseFileHeader,
  recordsOf,
} from '../../../src/decode/perf-data/perf-file.js';
import { PerfReading } from '../../../src/source/recording/formats/perf-data.js';
import type { TraceSink, Vocabulary } from '../../../src/trace/sink.js';

export interface PerfReplay {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** A copy of tracefs, for a file without formats. */
  readonly tracefs?: string;
  /** Bytes of a chunk; default: all at once. */
  readonly chunkSize?: number;
}

/** The parts of a perf.data in memory, in file form or pipe form; undefined if its header is damaged. */
export function perfFileIn(bytes: Uint8Array): PerfFile | undefined {
  if (isPipeForm(bytes)) return describePipe();
  const header = parseFileHeader(bytes);
  if ('problem' in header) return undefined;
  const { offset, size } = header.data;
  return describePerfFile(header, bytes.subarray(0, offset), bytes.subarray(size === 0 ? bytes.length : offset + size));
}

/** Reads a perf.data in memory. Returns the warnings. Throws what the user is shown. */
export function replayPerfData(
  bytes: Uint8Array,
  { vocabulary, sink, tracefs, chunkSize }: PerfReplay,
): readonly string[] {
  const file = perfFileIn(bytes);
  if (file === undefined) throw new Error('damaged in its header');
  const reading = new PerfReading('perf.data', file, { kernel: () => sink, qemu: () => sink }, { vocabulary, tracefs });
  const stream = reading.decoder.openStream();
  const records = recordsOf(file);
  const size = chunkSize ?? bytes.length;
  for (let at = 0; at < bytes.length; at += size) stream.push(records(bytes.subarray(at, at + size)));
  reading.end();
  return reading.warnings().lines;
}
