import { TextCleaner } from '../../../decode/text/clean-text.js';
import type { QemuSink } from '../../../trace/sink.js';
import type { RecordingReader } from './recording-format.js';

/** A decoder of plain text. */
interface TextDecoder {
  push(text: Uint8Array): void;
  end(): void;
}

/**
 * Reads a recording of text, in any encoding.
 * @param sink the decoder's own, for lines that do not reach the decoder
 */
export function textReader(decoder: TextDecoder, sink: QemuSink): RecordingReader {
  const cleaner = new TextCleaner(
    (text) => decoder.push(text),
    () => sink.malformed('line-too-long'),
  );
  return {
    push: (chunk) => cleaner.push(chunk),
    end(how) {
      cleaner.end();
      decoder.end();
      if (how === 'cut') sink.malformed('truncated');
    },
    warnings: () => [],
  };
}
