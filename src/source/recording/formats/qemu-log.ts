import { QemuLogDecoder, QemuLogRecogniser } from '../../../decode/qemu/log-decoder.js';
import { TextCleaner } from '../../../decode/text/clean-text.js';
import type { TextFormat } from './recording-format.js';

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
    const decoder = new QemuLogDecoder(vocabulary, sink, knownEvents ? { knownEvents } : {});
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
  },
};
