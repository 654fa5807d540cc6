/**
 * The threads whose events a tracing instance records: `set_event_pid`. The kernel compares the thread before it
 * reserves room for an event, so the events of all other threads cost next to nothing (trace_event_ignore_this_pid,
 * kernel/trace/trace_events.c, Linux 6.18).
 *
 * What is written is added to the list, and until the write takes effect the old list does, so the threads in it lose
 * no event. Threads can only be removed all at once: opening the file for truncation empties the list, and an instance
 * with an empty list records the events of every thread. So events are on only while there are threads in the list.
 */
import { closeSync, openSync, write } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileError } from '../../../system/errors.js';
import { EventSwitches } from './event-switches.js';

const writeLater = promisify(write);
const LIST = 'set_event_pid';

export class FocusedThreads {
  readonly #path: string;
  /** -1 once closed. It stays open, so that nothing but a write can be under way when the instance is removed. */
  #file: number;
  readonly #switches: EventSwitches;
  readonly #threads = new Set<number>();
  /** Those of them that are in the kernel's list. */
  readonly #listed = new Set<number>();
  #isPaused = false;
  /** Ends when the list is empty; undefined if it is not being emptied. */
  #clearing: Promise<void> | undefined;

  /**
   * @param events those of the instance, as `system:name`; they are off
   * @throws AgentError if a file cannot be opened
   */
  constructor(instance: string, events: readonly string[]) {
    this.#path = join(instance, LIST);
    this.#file = openList(this.#path);
    this.#switches = new EventSwitches(instance, events);
  }

  /**
   * Records these threads too, from the end of the call on; while paused, from {@link resume} on. Returns those that
   * are new; undefined if the kernel refuses.
   */
  async add(threads: Iterable<number>): Promise<ReadonlySet<number> | undefined> {
    const added = new Set([...threads].filter((tid) => !this.#threads.has(tid)));
    for (const tid of added) this.#threads.add(tid);
    if (added.size === 0 || this.#isPaused || (await this.#start())) return added;
    for (const tid of added) this.#threads.delete(tid);
    return undefined;
  }

  /** Records nothing until {@link resume}. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#switches.switch(false);
  }

  /** Records its threads again, except for those that are not among `kept`. */
  async resume(kept: ReadonlySet<number>): Promise<void> {
    for (const tid of this.#threads) if (!kept.has(tid)) this.#threads.delete(tid);
    if ([...this.#listed].some((tid) => !kept.has(tid))) await this.#clear();
    this.#isPaused = false;
    await this.#start();
  }

  /** Records nothing more, and forgets all threads. */
  async stop(): Promise<void> {
    this.#threads.clear();
    await this.#switches.switch(false);
    if (this.#listed.size > 0) await this.#clear();
  }

  /** Ends when the list is empty, and its file closed; undefined if it is not being emptied. */
  get clearing(): Promise<void> | undefined {
    return this.#clearing;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
    this.#switches.close();
  }

  /** Lists the threads that are not listed yet, and switches the events on. False if the kernel refuses. */
  async #start(): Promise<boolean> {
    const missing = [...this.#threads].filter((tid) => !this.#listed.has(tid));
    try {
      if (missing.length > 0 && this.#file >= 0) await writeLater(this.#file, `${missing.join('\n')}\n`);
    } catch {
      return false;
    }
    for (const tid of missing) this.#listed.add(tid);
    return this.#listed.size === 0 || this.#file < 0 || (await this.#switches.switch(true));
  }

  /** The kernel takes 70 to 480 ms to empty the list. A thread of libuv's pool waits for that. */
  async #clear(): Promise<void> {
    this.#listed.clear();
    if (this.#file < 0) return;
    // If it fails, the kernel goes on to record threads that are in no VM in focus: their events are not counted.
    this.#clearing = open(this.#path, 'w')
      .then((file) => file.close())
      .catch(() => {})
      .finally(() => {
        this.#clearing = undefined;
      });
    await this.#clearing;
  }
}

function openList(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    throw fileError(path, error);
  }
}
