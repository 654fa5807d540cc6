import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { FtraceLine } from '../text/ftrace-line.js';
import type { ReaderBuilder } from './record-reader.js';

/** How an event is read in its two forms, a binary record and a line of text. Both make the same call on the sink. */
export interface EventForms {
  readonly record: ReaderBuilder;
  readonly text: ScannerBuilder;
}

/** Binds a scanner of texts to what it reports to. */
export type ScannerBuilder = (context: TextContext) => TextScanner;

export interface TextContext {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

/**
 * Scans an event's own text, `bytes[line.argsStart, end)`, and reports it. False if the kernel does not print such a
 * text; then nothing was reported.
 */
export type TextScanner = (bytes: Uint8Array, end: number, line: FtraceLine) => boolean;
