/**
 * One record of the ring buffer -> the sink: which event it is, whose, and what it says. Shared by all CPUs of a host.
 *
 * A record's payload begins with the fields that all events have in common; `common_type` is the ID of the event's
 * format file. What follows is read for the events of kvm/events.ts and for markers; all others count as tracepoints. Bound once to the formats of the kernel that wrote the records; nothing is allocated per event here.
 */
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { EventFormat, EventFormats, PageHeader } from '../format/event-format.js';
import type { RecordPage, RecordReader } from '../format/record-reader.js';
import { EVENT_FORMS } from '../kvm/events.js';
import { MARKER_EVENT, MARKER_NAME, marker } from './marker.js';
import { OpenPages } from './open-pages.js';
import type { CommonFields, Records } from './page-index.js';

/** struct trace_entry, include/linux/trace_events.h: where they are when there is no format at all. */
const COMMON_TYPE = { name: 'common_type', offset: 0, size: 2 };
const COMMON_PID = { name: 'common_pid', offset: 4, size: 4 };

export interface RecordDecoderOptions {
  readonly formats: EventFormats;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** Whether the trace clock counts nanoseconds; false for `counter`, `x86-tsc`, `uptime`. Default: true. */
  readonly clockNs?: boolean;
}

export class RecordDecoder {
  readonly pageHeader: PageHeader;
  readonly bigEndian: boolean;
  readonly clockNs: boolean;
  readonly sink: TraceSink;
  readonly commonFields: CommonFields;
  /** Of all CPUs. */
  readonly openPages = new OpenPages();
  readonly #littleEndian: boolean;
  readonly #typeOffset: number;
  readonly #pidOffset: number;
  readonly #commonEnd: number;
  /** By event ID: id of the tracepoint's name, -1 where no format describes it. */
  readonly #names = new Int32Array(0x10000).fill(-1);
  /** By event ID: who reads it. */
  readonly #readers: (RecordReader | undefined)[];

  constructor({ formats, vocabulary, sink, clockNs = true }: RecordDecoderOptions) {
    const { bigEndian, events } = formats;
    this.pageHeader = formats.pageHeader;
    this.bigEndian = bigEndian;
    this.clockNs = clockNs;
    this.sink = sink;
    this.#littleEndian = !bigEndian;
    this.#typeOffset = commonOffset(events, COMMON_TYPE);
    this.#pidOffset = commonOffset(events, COMMON_PID);
    this.#commonEnd = Math.max(this.#typeOffset + COMMON_TYPE.size, this.#pidOffset + COMMON_PID.size);
    this.commonFields = {
      littleEndian: this.#littleEndian,
      typeOffset: this.#typeOffset,
      pidOffset: this.#pidOffset,
      // QEMU's markers tell of devices, which all vCPUs of a VM use.
      markerId: events.find(({ name }) => name === MARKER_EVENT)?.id ?? -1,
    };
    const ids = 1 + events.reduce((max, { id }) => Math.max(max, id), 0);
    this.#readers = Array.from({ length: ids }, () => undefined);
    for (const format of events) {
      const isMarker = format.name === MARKER_EVENT;
      const forms = isMarker ? marker : EVENT_FORMS.get(format.name);
      this.#names[format.id] = vocabulary.tracepoints.id(isMarker ? MARKER_NAME : format.name);
      this.#readers[format.id] = forms?.record(format, { vocabulary, sink, bigEndian });
    }
  }

  /** Report the records `[first, last)` of `page`, in their order. Their times go to the sink as they are. */
  decode(page: RecordPage, { starts, ends, timesNs }: Records, first: number, last: number, cpu: number): void {
    // Whatever is read for each record stands in a local variable: calls in between make fields be read anew.
    const { view } = page;
    const { sink, clockNs } = this;
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
      const name = names[id] as number;
      if (name < 0) {
        sink.malformed('unknown-event');
        continue;
      }
      const pidAt = record + pidOffset;
      const tid = littleEndian ? view.getInt32(pidAt, true) : view.getInt32(pidAt);
      if (clockNs) page.timeNs = timesNs[index] as number;
      sink.tracepoint(page.timeNs, cpu, tid, name);
      const reader = readers[id];
      if (reader === undefined) continue;
      if (end - record < reader.needed) sink.malformed('record');
      else reader.read(page, record, end, cpu, tid);
    }
  }
}

/** The common fields are the same for all events of a kernel, so the first that has it will do. */
function commonOffset(events: readonly EventFormat[], common: typeof COMMON_TYPE): number {
  for (const { fields } of events) {
    const field = fields.find(({ name, size }) => name === common.name && size === common.size);
    if (field !== undefined) return field.offset;
  }
  return common.offset;
}
