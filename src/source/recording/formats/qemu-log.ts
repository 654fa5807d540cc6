import { QemuLogDecoder, QemuLogRecogniser } from '../../../decode/qemu/log-decoder.js';
import type { TextFormat } from './recording-format.js';
import { textReader } from './text-reader.js';

export const QEMU_LOG: TextFormat = {
  name: 'a log of QEMU trace events',
  createRecogniser() {
    const recogniser = new QemuLogRecogniser();
    return {
      hasEvent: (line) => recogniser.isEvent(line, 0, line.length),
      get isLikely() {
        return recogniser.isLikely;
      },
    };
  },
  createReader(_path, sinks, { vocabulary, traceEvents }) {
    const sink = sinks.qemu('log');
    const knownEvents = traceEvents && new Set(traceEvents.events.map(({ name }) => name));
    const decoder = new QemuLogDecoder(vocabulary, sink, { isSaved: true, ...(knownEvents && { knownEvents }) });
    return textReader(decoder, sink);
  },
};
