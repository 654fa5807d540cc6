import { TextCleaner } from '../../../decode/text/clean-text.js';
import type { QemuSink } from '../../../trace/sink.js';
import type { RecordingReader } from './recording-format.js';

const LINE_END = 0x0a;
const SPACE = 0x20;

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
  let isLineOpen = false;
  const cleaner = new TextCleaner(
    (text) => {
      isLineOpen = endsInLine(text, isLineOpen);
      decoder.push(text);
    },
    () => sink.malformed('line-too-long'),
  );
  return {
    push: (chunk) => cleaner.push(chunk),
    end(how) {
      cleaner.end();
      decoder.end();
      if (how === 'cut') sink.malformed('truncated');
    },
    warnings: () => ({ lines: [], isLineOpen }),
  };
}

/** True if the last line that is not blank has no end. @param before the same for the text before this part */
function endsInLine(text: Uint8Array, before: boolean): boolean {
  for (let at = text.length - 1; at >= 0; at--) {
    if (text[at] === LINE_END) return false;
    if ((text[at] as number) > SPACE) return true;
  }
  return before;
}
