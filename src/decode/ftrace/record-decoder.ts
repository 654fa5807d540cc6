import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { EventFormat, EventFormats, PageHeader } from '../format/event-format.js';
import type { RecordPage, RecordReader } from '../format/record-reader.js';
import { EVENT_FORMS } from '../kvm/events.js';
import { MARKER_EVENT, MARKER_NAME, marker } from './marker.js';
import { OpenPages } from './open-pages.js';
import type { CommonFields, Records } from './page-index.js';

/** Fields of struct trace_entry (include/linux/trace_events.h). Their offsets are used if there is no format at all. */
const COMMON_TYPE = { name: 'common_type', offset: 0, size: 2 };
const COMMON_PID = { name: 'common_pid', offset: 4, size: 4 };

export interface RecordDecoderOptions {
  readonly formats: EventFormats;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /**
   * Nanoseconds of one tick of the trace clock, by default 1. NaN for clocks that do not count time, `counter` and
   * `uptime`, and for `x86-tsc` if its frequency is not known.
   */
  readonly nsPerTick?: number;
  /** Those of a decoder whose pages are merged with this one's; default: this decoder's own. */
  readonly openPages?: OpenPages;
}

/**
 * Decodes records of the ring buffers of all CPUs and reports them to a sink.
 *
 * A record's payload begins with the fields that all events have in common; `common_type` is the ID in the event's
 * format file. The fields behind them are read for the events of kvm/events.ts and for markers. Any other event counts
 * as a tracepoint. The decoder is bound once to the formats of the kernel that wrote the records and allocates nothing
 * per event.
 */
export class RecordDecoder {
  readonly pageHeader: PageHeader;
  readonly bigEndian: boolean;
  readonly nsPerTick: number;
  readonly sink: TraceSink;
  readonly commonFields: CommonFields;
  /** The open pages of all CPUs. */
  readonly openPages: OpenPages;
  readonly #littleEndian: boolean;
  readonly #typeOffset: number;
  readonly #pidOffset: number;
  readonly #commonEnd: number;
  /** Event ID -> id of the tracepoint's name, -1 if no format describes the event. */
  readonly #names: Int32Array;
  /** Event ID -> reader of the event's own fields. */
  readonly #readers: (RecordReader | undefined)[];

  constructor({ formats, vocabulary, sink, nsPerTick = 1, openPages = new OpenPages() }: RecordDecoderOptions) {
    this.openPages = openPages;
    const { bigEndian, events } = formats;
    this.pageHeader = formats.pageHeader;
    this.bigEndian = bigEndian;
    this.nsPerTick = nsPerTick;
    this.sink = sink;
    this.#littleEndian = !bigEndian;
    this.#typeOffset = commonOffset(events, COMMON_TYPE);
    this.#pidOffset = commonOffset(events, COMMON_PID);
    this.#commonEnd = Math.max(this.#typeOffset + COMMON_TYPE.size, this.#pidOffset + COMMON_PID.size);
    this.commonFields = {
      littleEndian: this.#littleEndian,
      typeOffset: this.#typeOffset,
      pidOffset: this.#pidOffset,
      // QEMU's markers concern devices, which all vCPUs of a VM use.
      markerId: events.find(({ name }) => name === MARKER_EVENT)?.id ?? -1,
    };
    const ids = 1 + events.reduce((max, { id }) => Math.max(max, id), 0);
    this.#names = new Int32Array(ids).fill(-1);
    this.#readers = Array.from({ length: ids }, () => undefined);
    for (const format of events) {
      const isMarker = format.name === MARKER_EVENT;
      const forms = isMarker ? marker : EVENT_FORMS.get(format.name);
      this.#names[format.id] = vocabulary.tracepoints.id(isMarker ? MARKER_NAME : format.name);
      this.#readers[format.id] = forms?.record(format, { vocabulary, sink, bigEndian });
    }
  }

  /** Reports the records `[first, last)` of `page`, in their order. */
  decode(page: RecordPage, { starts, ends, timesNs }: Records, first: number, last: number, cpu: number): void {
    // Fields used for every record are copied to local variables, because V8 reads a field again after each call.
    const { view } = page;
    const { sink, nsPerTick } = this;
    const littleEndian = this.#littleEndian;
    const typeOffset = this.#typeOffset;
    const pidOffset = this.#pidOffset;
    const commonEnd = this.#commonEnd;
    const names = this.#names;
    const readers = this.#readers;
    for (let index = first; index < last; index++) {
      const record = starts[index] as number;
      const end = ends[index] as number;
      if (end - record < commonEnd) {
        sink.malformed('record');
        continue;
      }
      const typeAt = record + typeOffset;
      const id = littleEndian ? view.getUint16(typeAt, true) : view.getUint16(typeAt);
      const name = id < names.length ? (names[id] as number) : -1;
      if (name < 0) {
        sink.malformed('unknown-event');
        continue;
      }
      const pidAt = record + pidOffset;
      const tid = littleEndian ? view.getInt32(pidAt, true) : view.getInt32(pidAt);
      page.timeNs = (timesNs[index] as number) * nsPerTick;
      sink.tracepoint(page.timeNs, cpu, tid, name);
      const reader = readers[id];
      if (reader === undefined) continue;
      if (end - record < reader.needed) sink.malformed('record');
      else reader.read(page, record, end, cpu, tid);
    }
  }
}

/**
 * The offset of a common field. It is the same for all events of a kernel, so the first event that has the field is
 * used.
 */
function commonOffset(events: readonly EventFormat[], common: typeof COMMON_TYPE): number {
  for (const { fields } of events) {
    const field = fields.find(({ name, size }) => name === common.name && size === common.size);
    if (field !== undefined) return field.offset;
  }
  return common.offset;
}
