import { NoOpSink } from '../../trace/sink.js';

/** Notes the time of the first event that has one. */
export class StartFinder extends NoOpSink {
  readonly clock: string;
  startNs = Number.NaN;

  constructor(clock: string) {
    super();
    this.clock = clock;
  }

  get isDone(): boolean {
    return !Number.isNaN(this.startNs);
  }

  override tracepoint(timeNs: number): void {
    if (!this.isDone) this.startNs = timeNs;
  }

  override qemuEvent(timeNs: number): void {
    if (!this.isDone) this.startNs = timeNs;
  }
}
