import { ForwardingSink, type TraceSink } from './sink.js';

/** Passes frequent events of a kernel trace on while it is on, and everything else at any time. */
export class SwitchedSink extends ForwardingSink {
  /** True if frequent events are passed on. */
  isOn: boolean;
  /** Ids of the tracepoints that are passed on at any time. */
  readonly #always: ReadonlySet<number>;

  constructor(sink: TraceSink, isOn: boolean, always: ReadonlySet<number> = new Set()) {
    super(sink);
    this.isOn = isOn;
    this.#always = always;
  }

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    if (this.isOn || this.#always.has(name)) super.tracepoint(timeNs, cpu, tid, name);
  }

  protected override passesFrequent(): boolean {
    return this.isOn;
  }
}
