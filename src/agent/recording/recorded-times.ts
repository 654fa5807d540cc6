import { AgentError } from '../../system/errors.js';
import { TimeWindow, type WindowEdges } from '../../trace/time-window.js';

/** The time that recordings cover. */
export interface RecordedTime {
  /** Time covered, each part once if recordings overlap; undefined if no event has a time. */
  readonly seconds: number | undefined;
  /** Seconds on the clock: the first and the last event, or the edges of the window. */
  readonly startSeconds: number | undefined;
  readonly endSeconds: number | undefined;
}

interface Span {
  readonly fromNs: number;
  readonly toNs: number;
}

/** The times of all recordings of a report, by clock: times of different clocks cannot be compared. */
export class RecordedTimes {
  readonly #edges: WindowEdges;
  readonly #windows = new Map<string, TimeWindow[]>();
  /** Start of all recordings together, by clock. */
  readonly #startsNs = new Map<string, number>();

  constructor(edges: WindowEdges) {
    this.#edges = edges;
  }

  /** True if relative edges need the start of all recordings before any is counted. */
  get needsStarts(): boolean {
    return this.#edges.since?.isRelative === true || this.#edges.until?.isRelative === true;
  }

  noteStart(clock: string, startNs: number): void {
    this.#startsNs.set(clock, Math.min(startNs, this.#startsNs.get(clock) ?? startNs));
  }

  /** Makes the window for one more recording. */
  open(clock: string): TimeWindow {
    const window = new TimeWindow(this.#edges, this.#startsNs.get(clock));
    this.#windows.set(clock, [...(this.#windows.get(clock) ?? []), window]);
    return window;
  }

  /** The time inside the window, on the clock that shows most of it: several traces of the same time count once. */
  inside(): RecordedTime {
    return this.#longest(({ firstNs, lastNs, sinceNs, untilNs }) => ({
      fromNs: Math.max(firstNs, sinceNs),
      toNs: Math.min(lastNs, untilNs),
    }));
  }

  /** The time of the whole recordings. */
  whole(): RecordedTime {
    return this.#longest(({ firstNs, lastNs }) => ({ fromNs: firstNs, toNs: lastNs }));
  }

  /** @throws AgentError if the window holds nothing of the recordings */
  requireEvents(): void {
    const windows = [...this.#windows.values()].flat();
    if (!windows.some(({ isLimited }) => isLimited) || this.inside().seconds !== undefined) return;
    const { seconds, startSeconds, endSeconds } = this.whole();
    if (seconds !== undefined)
      throw new AgentError(
        `no event is between --since and --until: the recording is ${seconds} s long, from @${startSeconds} to @${endSeconds} on its clock`,
      );
    if (windows.some(({ untimed }) => untimed > 0))
      throw new AgentError(
        'the events of this recording have no times; leave out --since and --until (a trace clock such as local or mono records times)',
      );
  }

  #longest(spanOf: (window: TimeWindow) => Span): RecordedTime {
    const [longest] = Array.from(this.#windows.values(), (windows) => timeOf(windows.map(spanOf))).sort(
      (a, b) => (b.seconds ?? -1) - (a.seconds ?? -1),
    );
    return longest ?? timeOf([]);
  }
}

function timeOf(spans: readonly Span[]): RecordedTime {
  const sorted = spans.filter(({ fromNs, toNs }) => fromNs <= toNs).sort((a, b) => a.fromNs - b.fromNs);
  const [first] = sorted;
  if (first === undefined) return { seconds: undefined, startSeconds: undefined, endSeconds: undefined };
  let ns = 0;
  let endNs = first.fromNs;
  for (const { fromNs, toNs } of sorted) {
    ns += Math.max(0, toNs - Math.max(fromNs, endNs));
    endNs = Math.max(endNs, toNs);
  }
  return { seconds: ns / 1e9, startSeconds: first.fromNs / 1e9, endSeconds: endNs / 1e9 };
}
