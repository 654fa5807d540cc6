import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { EVENT_FORMS, VENDOR_NAMES } from '../kvm/events.js';
import type { FtraceLine } from '../text/ftrace-line.js';
import { FailedCalls } from './failed-calls.js';
import type { FtraceTextDecoder } from './text-decoder.js';

const COLON = 0x3a;

/**
 * Chooses the scanners for the events of a saved text, as its lines show where it comes from: from the kernel itself,
 * whose text is exact, or from libtraceevent; from a kernel that has a vendor's names for events, or from another.
 */
export class SavedTextScanners {
  readonly failedCalls: FailedCalls;
  /** What the scanners report to. */
  sink: TraceSink;
  /** True if the text begins as the kernel's file `trace` does. */
  hasTracerHeader = false;
  readonly #decoder: FtraceTextDecoder;
  readonly #vocabulary: Vocabulary;
  /** Names of events that are not counted, because the trace has them under another name too. */
  readonly #ignored = new Set<string>();

  constructor(decoder: FtraceTextDecoder, vocabulary: Vocabulary, sink: TraceSink) {
    this.#decoder = decoder;
    this.#vocabulary = vocabulary;
    this.sink = sink;
    this.failedCalls = new FailedCalls(vocabulary, sink);
    for (const name of [...EVENT_FORMS.keys(), ...VENDOR_NAMES.keys()]) this.#bindAtFirst(name);
  }

  /** The first event of KVM shows whether the kernel or libtraceevent formatted the text. */
  #bindAtFirst(name: string): void {
    this.#decoder.setScanner(name, (bytes, end, line) => {
      this.sink = this.failedCalls;
      if (!this.#isFormattedByTool(bytes, line)) this.failedCalls.trustReasons();
      this.#bind();
      const scan = this.#decoder.scannerOf(this.#vocabulary.tracepoints.id(name));
      return scan?.(bytes, end, line) === true;
    });
  }

  /** Makes the scanners report to {@link sink}. */
  #bind(): void {
    const context = { vocabulary: this.#vocabulary, sink: this.sink };
    for (const [name, { text }] of EVENT_FORMS) this.#decoder.setScanner(name, text(context));
    for (const [vendorName, name] of VENDOR_NAMES) {
      this.#countOneOf(vendorName, name, name);
      this.#countOneOf(name, vendorName, name);
    }
  }

  /** Counts events called `name`, unless events called `rival` have come before. */
  #countOneOf(name: string, rival: string, formName: string): void {
    const scan = EVENT_FORMS.get(formName)?.text({ vocabulary: this.#vocabulary, sink: this.sink });
    if (scan === undefined) return;
    this.#decoder.setScanner(name, (bytes, end, line) => {
      const isIgnored = this.#ignored.has(name);
      if (!isIgnored) this.#ignored.add(rival);
      this.#decoder.setScanner(name, isIgnored ? () => true : scan);
      return isIgnored || scan(bytes, end, line);
    });
  }

  /**
   * trace-cmd pads the name of an event, perf writes its system before it, and both leave out the flags unless asked;
   * the kernel writes `flags time: event: text`.
   */
  #isFormattedByTool(bytes: Uint8Array, { argsStart, eventStart, eventEnd, hasFlags }: FtraceLine): boolean {
    const isPadded = argsStart > eventEnd + 2;
    return isPadded || bytes[eventStart - 1] === COLON || (!hasFlags && !this.hasTracerHeader);
  }
}
