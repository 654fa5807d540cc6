import { FtraceTextDecoder, looksLikeFtraceText } from '../../../decode/ftrace/text-decoder.js';
import { AgentError } from '../../../system/errors.js';
import type { RecordingFormat } from './recording-format.js';

export const FTRACE_TEXT: RecordingFormat = {
  name: 'ftrace text (trace_pipe, trace, trace-cmd report, perf script)',
  matches: looksLikeFtraceText,
  createReader(path, sinks, { vocabulary }) {
    const sink = sinks.kernel();
    const decoder = new FtraceTextDecoder(vocabulary, sink);
    return {
      push: (chunk) => decoder.push(chunk),
      end(how) {
        decoder.end();
        if (how === 'cut') sink.malformed('truncated');
        if (decoder.rawLines > 0) throw new AgentError(`${path}: ${RAW}`);
      },
      warnings: () => (decoder.bareLines > 0 ? [`${path}: ${NO_CONTEXT_INFO}`] : []),
    };
  },
};

const RAW =
  'recorded with the trace option raw, which leaves out the names and reasons of events; record it again after `echo noraw > trace_options`';
const NO_CONTEXT_INFO =
  'recorded with the trace option nocontext-info, which leaves out threads: exits are counted, but not by VM; `echo context-info > trace_options` keeps them';
