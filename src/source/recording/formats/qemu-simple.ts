import { looksLikeSimpleTrace, QemuSimpleDecoder } from '../../../decode/qemu/simple-decoder.js';
import { AgentError } from '../../../system/errors.js';
import { NO_WARNINGS } from '../pages/recording-warnings.js';
import type { BinaryFormat } from './recording-format.js';

export const QEMU_SIMPLE: BinaryFormat = {
  name: 'a simple trace of QEMU',
  matches: looksLikeSimpleTrace,
  createReader(path, sinks, { vocabulary, traceEvents }) {
    const sink = sinks.qemu('simple');
    const decoder = new QemuSimpleDecoder(vocabulary, sink, traceEvents ? { traceEvents } : {});
    const check = () => {
      if (decoder.unusable !== undefined) throw new AgentError(`${path}: ${decoder.unusable}`);
    };
    return {
      push(chunk) {
        decoder.push(chunk);
        check();
      },
      end(how) {
        decoder.end();
        check();
        if (how === 'cut') sink.malformed('truncated');
      },
      warnings: () => NO_WARNINGS,
    };
  },
};
