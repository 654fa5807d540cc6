/** A tracing instance of a test, whose text the test reads. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACEFS, uniqueInstance } from '../agent/start-agent.js';

/**
 * Create it before guests run and close it when they have ended: enabling or disabling an event while vCPUs run can
 * crash an emulated host.
 */
export class TextTrace {
  readonly #folder = join(TRACEFS, 'instances', uniqueInstance());
  readonly #events: readonly string[];

  /**
   * Enables the events, and records nothing yet.
   * @param events folders of tracefs: `kvm/kvm_exit`, or `kvm` for all of KVM's
   * @param bufferKb size of each CPU's buffer
   */
  constructor(events: readonly string[], bufferKb: number) {
    this.#events = events;
    mkdirSync(this.#folder);
    this.#write('tracing_on', '0');
    this.#write('buffer_size_kb', String(bufferKb));
    for (const event of events) this.#write(`events/${event}/enable`, '1');
  }

  start(): void {
    this.#write('trace', '');
    this.#write('tracing_on', '1');
  }

  stop(): void {
    this.#write('tracing_on', '0');
  }

  /** What was recorded. Call it after {@link stop}. */
  text(): string {
    return readFileSync(join(this.#folder, 'trace'), 'utf8');
  }

  close(): void {
    for (const event of this.#events) this.#write(`events/${event}/enable`, '0');
    rmdirSync(this.#folder);
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.#folder, file), text);
  }
}
