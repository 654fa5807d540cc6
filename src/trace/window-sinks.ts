import { ForwardingSink, QemuForwardingSink, type QemuSink, type TraceSink } from './sink.js';
import type { TimeWindow } from './time-window.js';

/** Events known to be lost, of which it is not known yet when the gap ended. */
interface OpenLoss {
  readonly count: number;
  /** Time of the event before the gap. */
  readonly afterNs: number;
}

/** Passes on the losses whose gaps overlap a window. */
class WindowLosses {
  readonly #sink: QemuSink;
  readonly #window: TimeWindow;
  /** CPU, -1 if it is not known -> loss. */
  readonly #open = new Map<number, OpenLoss>();

  constructor(sink: QemuSink, window: TimeWindow) {
    this.#sink = sink;
    this.#window = window;
  }

  /** A gap begins on this CPU. @param afterNs time of the event before it */
  begin(cpu: number, count: number, afterNs: number): void {
    if (!this.#window.isLimited) return this.#sink.lost(cpu, count);
    this.end(cpu, afterNs);
    this.#open.set(cpu, { count, afterNs });
  }

  /** The gap of this CPU, if there is one, ends with an event at `timeNs`. */
  end(cpu: number, timeNs: number): void {
    const loss = this.#open.get(cpu);
    if (loss === undefined) return;
    this.#open.delete(cpu);
    // A sink must learn that the gap has ended, also outside the window.
    this.#sink.lost(cpu, this.#window.overlaps(loss.afterNs, timeNs) ? loss.count : 0);
  }

  endAll(): void {
    for (const cpu of [...this.#open.keys()]) this.end(cpu, Number.POSITIVE_INFINITY);
  }
}

/**
 * Passes on the events of QEMU's own trace that are inside a window. What has no time of its own, such as the name of a
 * device, is passed on whenever it occurs. A loss is passed on if its gap overlaps the window.
 */
export class QemuWindowSink extends QemuForwardingSink {
  readonly #window: TimeWindow;
  readonly #losses: WindowLosses;

  constructor(sink: QemuSink, window: TimeWindow) {
    super(sink);
    this.#window = window;
    this.#losses = new WindowLosses(sink, window);
  }

  /** To be called at the end of the recording. */
  end(): void {
    this.#losses.endAll();
  }

  override qemuEvent(timeNs: number, id: number, event: number): void {
    const isInside = this.#window.note(timeNs);
    this.#losses.end(-1, timeNs);
    if (isInside) this.sink.qemuEvent(timeNs, id, event);
  }

  override lost(cpu: number, count: number): void {
    this.#losses.begin(cpu, count, this.#window.lastNs);
  }

  protected override passes(timeNs: number): boolean {
    return this.#window.has(timeNs);
  }
}

/** More CPUs than nearly any host has; CPUs beyond it share entries. A power of two. */
const CPU_ENTRIES = 1024;

/**
 * Passes on the events of a kernel trace that are inside a window. The time of a marker is that of the tracepoint
 * before it.
 */
export class KernelWindowSink extends ForwardingSink {
  readonly #window: TimeWindow;
  readonly #losses: WindowLosses;
  /** Time of the latest event by CPU; kept only if the window is limited. */
  readonly #lastNs = new Float64Array(CPU_ENTRIES).fill(Number.NEGATIVE_INFINITY);

  constructor(sink: TraceSink, window: TimeWindow) {
    super(sink);
    this.#window = window;
    this.#losses = new WindowLosses(sink, window);
  }

  /** To be called at the end of the recording. */
  end(): void {
    this.#losses.endAll();
  }

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    const isInside = this.#window.note(timeNs);
    if (this.#window.isLimited) {
      this.#losses.end(cpu, timeNs);
      this.#losses.end(-1, timeNs);
      this.#lastNs[cpu & (CPU_ENTRIES - 1)] = timeNs;
    }
    if (isInside) this.sink.tracepoint(timeNs, cpu, tid, name);
  }

  override lost(cpu: number, count: number): void {
    const afterNs = cpu < 0 ? this.#window.lastNs : (this.#lastNs[cpu & (CPU_ENTRIES - 1)] as number);
    this.#losses.begin(cpu, count, afterNs);
  }

  protected override passes(timeNs: number): boolean {
    return this.#window.has(timeNs);
  }
}
