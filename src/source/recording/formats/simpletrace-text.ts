import { SimpletraceTextDecoder } from '../../../decode/qemu/simpletrace-text-decoder.js';
import { Names } from '../../../trace/names.js';
import { NoOpSink } from '../../../trace/sink.js';
import type { TextFormat } from './recording-format.js';
import { textReader } from './text-reader.js';

const LINE_END = Uint8Array.of(0x0a);

export const SIMPLETRACE_TEXT: TextFormat = {
  name: "a simple trace as QEMU's simpletrace.py prints it",
  createRecogniser() {
    const vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
    const decoder = new SimpletraceTextDecoder(vocabulary, new NoOpSink());
    return {
      hasEvent(line) {
        decoder.push(line);
        decoder.push(LINE_END);
        return decoder.events > 0;
      },
      isLikely: false,
    };
  },
  createReader(_path, sinks, { vocabulary }) {
    const sink = sinks.qemu('simple');
    const decoder = new SimpletraceTextDecoder(vocabulary, sink);
    return textReader(decoder, sink);
  },
};
