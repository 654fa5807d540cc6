import { SavedTextDecoder } from '../../../decode/ftrace/saved-text-decoder.js';
import { AgentError } from '../../../system/errors.js';
import { Names } from '../../../trace/names.js';
import { NoOpSink } from '../../../trace/sink.js';
import type { TextFormat, TextRecogniser } from './recording-format.js';
import { textReader } from './text-reader.js';

export const FTRACE_TEXT: TextFormat = {
  name: 'ftrace text (trace_pipe, trace, trace-cmd report, perf script)',
  createRecogniser: () => new FtraceTextRecogniser(),
  createReader(path, sinks, { vocabulary }) {
    const sink = sinks.kernel();
    const decoder = new SavedTextDecoder(vocabulary, sink);
    const reader = textReader(decoder, sink);
    return {
      ...reader,
      end(how) {
        reader.end(how);
        if (decoder.rawLines > 0) throw new AgentError(`${path}: ${RAW}`);
        if (decoder.hasDeltaTimes) throw new AgentError(`${path}: ${DELTA_TIMES}`);
      },
      get undecidedExits() {
        return decoder.undecidedExits;
      },
      warnings() {
        const lines = [
          ...(decoder.threadlessEvents > 0 && !decoder.namesThreads ? [`${path}: ${NO_THREADS}`] : []),
          ...(decoder.undecidedExits > 0 ? [`${path}: ${NO_ENTRIES}`] : []),
        ];
        return { ...reader.warnings(), lines };
      },
    };
  },
};

const LINE_END = Uint8Array.of(0x0a);
const RAW =
  'recorded with the trace option raw or hex, which leave out the names and reasons of events; record it again after `echo nohex > trace_options; echo noraw > trace_options`';
const DELTA_TIMES =
  'its times are those since the event before, as `perf script --deltatime` prints them, so no exit can be timed; print it without --deltatime';
const NO_THREADS =
  'does not name threads: exits are counted, but not by VM, and have no durations; keep the columns: the trace option context-info, perf script without -F';
const NO_ENTRIES =
  'KVM_RUN calls that failed cannot be distinguished from exits to QEMU, as they show the reason of an earlier exit; record kvm_entry too, and keep the columns that name the thread';

class FtraceTextRecogniser implements TextRecogniser {
  readonly #sink = new LossSink();
  readonly #decoder = new SavedTextDecoder(
    { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() },
    this.#sink,
  );

  hasEvent(line: Uint8Array): boolean {
    this.#decoder.push(line);
    this.#decoder.push(LINE_END);
    return this.#decoder.certainEvents > 0 || this.#sink.hasLoss;
  }

  /** An empty trace, or one without names: reading it says so. */
  get isLikely(): boolean {
    return this.#decoder.isEmptyTrace || this.#decoder.rawLines > 0;
  }
}

class LossSink extends NoOpSink {
  hasLoss = false;

  override lost(): void {
    this.hasLoss = true;
  }
}
