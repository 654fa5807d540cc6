import { closeSync, openSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileError } from '../../../system/errors.js';
import { enableFile } from './instance-settings.js';

const writeLater = promisify(write);

/**
 * Switches events of an instance on and off while tracing goes on, without blocking the event loop: to switch one on,
 * the kernel patches its code and waits for all CPUs, 9 to 93 ms. A thread of libuv's pool waits for that. The files
 * stay open, so that nothing but such a write can be under way when the instance is removed.
 */
export class EventSwitches {
  /** Undefined once closed: then the numbers may stand for other files. */
  #files: readonly number[] | undefined;

  /**
   * @param events `system:name`
   * @throws AgentError if one cannot be opened
   */
  constructor(instance: string, events: readonly string[]) {
    const files: number[] = [];
    this.#files = files;
    try {
      for (const event of events) files.push(open(join(instance, enableFile(event))));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Switches one event after the other. Returns false if the kernel refuses one. */
  async switch(on: boolean): Promise<boolean> {
    for (const file of this.#files ?? []) {
      if (this.#files === undefined) return false;
      try {
        await writeLater(file, on ? '1' : '0');
      } catch {
        return false;
      }
    }
    return this.#files !== undefined;
  }

  close(): void {
    for (const file of this.#files ?? []) closeSync(file);
    this.#files = undefined;
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    throw fileError(path, error);
  }
}
