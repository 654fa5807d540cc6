/** A time in a recording: nanoseconds after its start, or on its clock. */
export interface Moment {
  readonly ns: number;
  readonly isRelative: boolean;
}

/** The part of a recording that is counted: from `since` on, before `until`. */
export interface WindowEdges {
  readonly since: Moment | undefined;
  readonly until: Moment | undefined;
}

/** Notes the times of a recording's events, and tells which of them are inside a window. All are of one clock. */
export class TimeWindow {
  /** The lowest and the highest time of an event, inside the window or not; infinite if no event had a time. */
  firstNs = Number.POSITIVE_INFINITY;
  lastNs = Number.NEGATIVE_INFINITY;
  /** Events that had no time, although the window needs one. */
  untimed = 0;
  /** False if the window is the whole recording. Events without a time are inside it then. */
  readonly isLimited: boolean;
  readonly #edges: WindowEdges;
  readonly #startNs: number | undefined;
  #sinceNs = Number.NEGATIVE_INFINITY;
  #untilNs = Number.POSITIVE_INFINITY;

  /** @param startNs start of the recording; by default the time of its first event */
  constructor(edges: WindowEdges, startNs?: number) {
    this.isLimited = edges.since !== undefined || edges.until !== undefined;
    this.#edges = edges;
    this.#startNs = startNs;
  }

  /** The edges, in nanoseconds on the recording's clock; infinite where there is none. Known after the first event. */
  get sinceNs(): number {
    return this.#sinceNs;
  }

  get untilNs(): number {
    return this.#untilNs;
  }

  /** Notes the time of an event. True if it is inside. */
  note(timeNs: number): boolean {
    if (timeNs < this.firstNs || timeNs > this.lastNs) this.#extend(timeNs);
    if (this.isLimited && Number.isNaN(timeNs)) this.untimed++;
    return this.has(timeNs);
  }

  has(timeNs: number): boolean {
    return !this.isLimited || (timeNs >= this.#sinceNs && timeNs < this.#untilNs);
  }

  /** True if some of the time from `fromNs` on, before `toNs`, is inside, or may be. */
  overlaps(fromNs: number, toNs: number): boolean {
    return !(toNs < this.#sinceNs || fromNs >= this.#untilNs);
  }

  #extend(timeNs: number): void {
    if (this.lastNs < this.firstNs) this.#begin(timeNs);
    this.firstNs = Math.min(this.firstNs, timeNs);
    this.lastNs = Math.max(this.lastNs, timeNs);
  }

  #begin(timeNs: number): void {
    const { since, until } = this.#edges;
    const startNs = this.#startNs ?? timeNs;
    if (since !== undefined) this.#sinceNs = since.isRelative ? startNs + since.ns : since.ns;
    if (until !== undefined) this.#untilNs = until.isRelative ? startNs + until.ns : until.ns;
  }
}
