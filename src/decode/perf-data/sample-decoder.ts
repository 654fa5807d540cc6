import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { EventFormats } from '../format/event-format.js';
import { RecordDecoder } from '../ftrace/record-decoder.js';
import { EVENT_FORMS } from '../kvm/events.js';
import { bytesInMemory } from '../trace-dat/byte-source.js';
import { readTracingData } from '../trace-dat/tracing-data.js';
import type { PerfAttrs } from './perf-attrs.js';
import type { RecordBlock } from './record-block.js';

export interface SampleDecoderOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** The events, as far as they are known before the first record. */
  readonly attrs: PerfAttrs;
  /** The formats of tracepoints (feature TRACING_DATA), if they are known before the first record. */
  readonly tracingData?: Uint8Array | undefined;
  /** Reads the formats for a file without them; undefined if there are none. */
  readonly otherFormats?: (() => EventFormats) | undefined;
}

const MAX_EVENT_ID = 0xffff;

/**
 * Reports the samples of tracepoints. A sample holds the same bytes as a record of ftrace's ring buffer, so
 * {@link RecordDecoder} reads it.
 */
export class SampleDecoder {
  /** Reason why the file as a whole cannot be used, and what to do. */
  unusable: string | undefined;
  /** The formats of tracepoints. They stand before the first sample, or at the end of the file. */
  tracingData: Uint8Array | undefined;
  /** Number of samples reported. */
  count = 0;
  readonly #options: SampleDecoderOptions;
  #decoder: RecordDecoder | undefined;
  /** ID of a tracepoint -> its name. */
  readonly #names = new Map<number, string>();
  /** ID of a tracepoint -> 1 if it is one of KVM's. */
  readonly #isKvm = new Uint8Array(MAX_EVENT_ID + 1);

  constructor(options: SampleDecoderOptions) {
    this.#options = options;
    this.tracingData = options.tracingData;
  }

  report(block: RecordBlock, first: number, last: number, cpu: number): void {
    this.count += last - first;
    this.#decoder?.decode(block.page, block, first, last, cpu);
  }

  /** True for a tracepoint of KVM. */
  isKvm(eventId: number): boolean {
    return this.#isKvm[eventId] === 1;
  }

  /** Names of KVM's tracepoints with this property. */
  namesOf(property: 'isSampled' | 'isCountedOnly'): string[] {
    const attrs = this.#options.attrs.all.filter((attr) => attr[property]);
    return [...new Set(attrs.map(({ eventId }) => this.#names.get(eventId) ?? ''))].filter(isKvmEvent);
  }

  /** Prepares for the first sample. Sets {@link unusable} if the file has no samples of interest or no formats. */
  bind(): void {
    if (this.#decoder !== undefined || this.unusable !== undefined) return;
    const { attrs, vocabulary, sink, otherFormats } = this.#options;
    const recorded = attrs.all.filter(({ hasRecords }) => hasRecords);
    const formats = recorded.length === 0 ? undefined : (this.#ownFormats() ?? otherFormats?.());
    const ids = new Set(attrs.all.filter(({ isTracepoint }) => isTracepoint).map(({ eventId }) => eventId));
    for (const { id, name } of formats?.events ?? []) if (ids.has(id)) this.#names.set(id, name);
    const kvm = recorded.filter(({ eventId }) => isKvmEvent(this.#names.get(eventId) ?? ''));
    for (const { eventId } of kvm) this.#isKvm[eventId] = 1;
    if (attrs.all.length === 0) this.unusable = NO_EVENTS;
    else if (recorded.length > 0 && formats === undefined) this.unusable = NO_FORMATS;
    else if (formats === undefined || kvm.length === 0) this.unusable = NO_KVM_EVENTS;
    else {
      const nsPerTick = recorded.every(({ hasTime }) => hasTime) ? 1 : Number.NaN;
      this.#decoder = new RecordDecoder({ formats, vocabulary, sink, nsPerTick });
    }
  }

  #ownFormats(): EventFormats | undefined {
    const read = this.tracingData && readTracingData(bytesInMemory(this.tracingData));
    this.tracingData = undefined;
    return read === undefined || 'problem' in read ? undefined : read.formats;
  }
}

function isKvmEvent(name: string): boolean {
  return EVENT_FORMS.has(name) || name.startsWith('kvm');
}

const NO_EVENTS = 'ends before its first event';
const NO_KVM_EVENTS = "holds no tracepoints of KVM; record them: perf record -a -e 'kvm:*', or perf kvm stat record -a";
const NO_FORMATS =
  'lacks the formats of its events, because perf did not end properly or the file is cut; give a copy of the tracefs of that host: --path.tracefs=DIR';
