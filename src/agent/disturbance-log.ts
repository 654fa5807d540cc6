import { basename } from 'node:path';
import type { Disturbance } from '../source/tracefs/kernel-trace.js';
import { SeldomLog } from '../system/seldom-log.js';

const MESSAGES: Readonly<Record<Disturbance['kind'], string>> = {
  written: 'another program wrote to a file of our tracing instance; it is set back, and a gap is counted',
  emptied: 'another program emptied a buffer of our tracing instance; a gap is counted',
  read: 'another program reads our tracing instance; the events that it took are counted as lost',
};

/** Logs what other programs do to a tracing instance, each kind seldom. */
export class DisturbanceLog {
  readonly #instance: string;
  readonly #seldom = new SeldomLog();

  constructor(instance: string) {
    this.#instance = instance;
  }

  add(disturbance: Disturbance): void {
    const { kind, ...fields } = disturbance;
    // One line for `events/kvm/kvm_exit/filter` and the filters of all other events.
    const about = kind === 'written' ? basename(disturbance.file) : kind;
    this.#seldom.warn(about, MESSAGES[kind], { instance: this.#instance, ...fields });
  }
}
