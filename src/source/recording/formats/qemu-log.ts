import { looksLikeQemuLog, QemuLogDecoder } from '../../../decode/qemu/log-decoder.js';
import type { RecordingFormat } from './recording-format.js';

export const QEMU_LOG: RecordingFormat = {
  name: 'a log of QEMU trace events',
  matches: looksLikeQemuLog,
  createReader(_path, sinks, { vocabulary, traceEvents }) {
    const sink = sinks.qemu('log');
    const knownEvents = traceEvents && new Set(traceEvents.events.map(({ name }) => name));
    const decoder = new QemuLogDecoder(vocabulary, sink, knownEvents ? { knownEvents } : {});
    return {
      push: (chunk) => decoder.push(chunk),
      end(how) {
        decoder.end();
        if (how === 'cut') sink.malformed('truncated');
      },
      warnings: () => [],
    };
  },
};
