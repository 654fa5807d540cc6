import { type PerfAttr, parseAttr, readU64, type TrailerLayout } from './perf-attr.js';

/** perf opens an event once for each CPU: 100 events on a host of 10,000 CPUs. */
const MAX_IDS = 1 << 20;
const MAX_ATTRS = 1 << 16;
const HEADER = 8;
const NO_CPU = -1;

/** The events of a perf.data. Every record names the event that it is about by an id. */
export class PerfAttrs {
  readonly #all: PerfAttr[] = [];
  readonly #byId = new Map<number, PerfAttr>();
  readonly #tracepoints = new Set<number>();
  /** The number of ids, repeated ones included. */
  #idCount = 0;
  /** True if two events are the same tracepoint: each hit is then recorded twice. */
  hasRepeated = false;

  get all(): readonly PerfAttr[] {
    return this.#all;
  }

  /** The event of records without an id. */
  get first(): PerfAttr | undefined {
    return this.#all[0];
  }

  /**
   * Adds an event.
   * @param at position of its struct perf_event_attr
   * @param ids positions of its ids, u64 each, from first to before last
   */
  add(view: DataView, at: number, ids: { readonly from: number; readonly to: number }): void {
    if (this.#all.length >= MAX_ATTRS) return;
    const attr = parseAttr(view, at);
    this.#all.push(attr);
    if (attr.hasRecords) {
      this.hasRepeated ||= this.#tracepoints.has(attr.eventId);
      this.#tracepoints.add(attr.eventId);
    }
    for (let place = ids.from; place + 8 <= ids.to && this.#idCount < MAX_IDS; place += 8, this.#idCount++)
      this.#byId.set(readU64(view, place), attr);
  }

  find(id: number): PerfAttr | undefined {
    // perf writes 0 into records that it makes up itself (evlist__id2evsel, tools/perf/util/evlist.c).
    return id === 0 || this.#all.length === 1 ? this.#all[0] : this.#byId.get(id);
  }

  /** Time of a record that is no sample; undefined if it has none. */
  timeOf(view: DataView, at: number, end: number): number | undefined {
    const { time = 0 } = this.#trailerOf(view, at, end) ?? {};
    return time > 0 ? readU64(view, end - time) : undefined;
  }

  /** CPU of a record that is no sample; -1 if unknown. */
  cpuOf(view: DataView, at: number, end: number): number {
    const { cpu = 0 } = this.#trailerOf(view, at, end) ?? {};
    return cpu > 0 ? Math.max(NO_CPU, view.getInt32(end - cpu, true)) : NO_CPU;
  }

  /** The fields at the end of a record; undefined if it is too short for them. */
  #trailerOf(view: DataView, at: number, end: number): TrailerLayout | undefined {
    const { trailer } = this.first ?? {};
    if (trailer === undefined || end - at < HEADER + trailer.size) return undefined;
    const own = trailer.id === 0 ? trailer : this.find(readU64(view, end - trailer.id))?.trailer;
    return own !== undefined && end - at >= HEADER + own.size ? own : undefined;
  }
}
