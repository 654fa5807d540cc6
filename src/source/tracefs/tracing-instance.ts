/**
 * A tracing instance of our own (`instances/NAME`), with its own buffers, events and clock.
 *
 * Nothing else of the host's tracing changes (except the size of the top-level buffer if the user asks for that buffer,
 * see top-level-buffer.ts), and the instance is removed when the agent ends. The kernel refuses to remove an instance
 * while a file of it is open (EBUSY), which tells a crashed agent's instance from a running agent's.
 *
 * `options/copy_trace_marker` exists from Linux 6.16 on.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { enableFile } from './control/instance-settings.js';
import {
  createInstanceFolder,
  readControl,
  removeInstanceFolder,
  subBufferSize,
  tryWriteControl,
  writeControl,
} from './control/tracefs-files.js';
import { findTracefs, type Tracefs } from './find-tracefs.js';
import { clockFor, isStillShared, type TraceClockName } from './trace-clock.js';

export interface InstanceOptions {
  /** Name below instances/. */
  readonly name: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** Copies what is written to the top-level `trace_marker` to this instance too, if the kernel can. */
  readonly markers?: boolean;
}

export class TracingInstance {
  readonly path: string;
  /** Mount point of tracefs. The formats of events are there, the same for all instances. */
  readonly tracefs: string;
  #markers = false;
  #clock: TraceClockName = 'mono';

  private constructor(tracefs: string, name: string) {
    this.tracefs = tracefs;
    this.path = join(tracefs, 'instances', name);
  }

  /**
   * Makes the instance with all events off: open its files first, then {@link start}. An instance of that name that a
   * crashed agent left is removed first.
   * @throws AgentError if another agent uses that name, or if rights are missing
   */
  static make(tracefs: string, { name, bufferSize, markers = false }: InstanceOptions): TracingInstance {
    const instance = new TracingInstance(tracefs, name);
    if (existsSync(instance.path))
      removeInstanceFolder(
        instance.path,
        `in use, probably by another kvm-exit-exporter; stop that one, or give this one a name of its own: --tracefs.instance=${name}-2`,
      );
    createInstanceFolder(instance.path);
    try {
      instance.#configure(bufferSize);
    } catch (error) {
      instance.remove();
      throw error;
    }
    instance.#markers = markers;
    return instance;
  }

  #configure(bufferSize: number): void {
    this.#clock = clockFor();
    writeControl(this.path, 'trace_clock', this.#clock);
    // One read returns one sub-buffer, so larger ones cost fewer system calls. Set before the buffer size, which is
    // rounded to them.
    const large =
      tryWriteControl(this.path, 'buffer_subbuf_size_kb', '64') &&
      tryWriteControl(this.path, 'buffer_size_kb', dataKib(bufferSize, this.subBufferSize));
    if (large) return;
    // An older kernel, or its memory is fragmented. Sub-buffers of one page always work (4 KiB are rounded up to a
    // page).
    tryWriteControl(this.path, 'buffer_subbuf_size_kb', '4');
    writeControl(this.path, 'buffer_size_kb', dataKib(bufferSize, this.subBufferSize));
  }

  /**
   * Switches events on (`system:name`), all at one moment, so that no exit is seen without the events that follow it.
   */
  start(events: readonly string[]): void {
    writeControl(this.path, 'tracing_on', '0');
    for (const event of events) writeControl(this.path, enableFile(event), '1');
    writeControl(this.path, 'tracing_on', '1');
    // Last: an instance that asks for markers while tracing is off withholds them from instances that asked earlier
    // (seen on 6.18).
    if (this.#markers) tryWriteControl(this.path, 'options/copy_trace_marker', '1');
  }

  /** Stops tracing. The events in the buffers stay readable. */
  stop(): void {
    this.#refuseMarkers();
    tryWriteControl(this.path, 'tracing_on', '0');
  }

  /** True while the time stamps of different CPUs are comparable. */
  get clockIsShared(): boolean {
    return isStillShared(this.#clock);
  }

  /** True if the kernel copies QEMU's markers to this instance. */
  get copiesMarkers(): boolean {
    return readControl(this.path, 'options/copy_trace_marker').startsWith('1');
  }

  /** Bytes that one read of a raw buffer returns at most. */
  get subBufferSize(): number {
    return subBufferSize(this.path);
  }

  /**
   * Switches the events off and removes the instance. Files of it must be closed.
   * @throws AgentError if another program has a file of it open; the events are off then
   */
  remove(): void {
    if (!existsSync(this.path)) return;
    this.#refuseMarkers();
    tryWriteControl(this.path, 'events/enable', '0');
    removeInstanceFolder(
      this.path,
      `another program reads it, so it stays, with its events off; once that has ended: rmdir ${this.path}`,
    );
  }

  /**
   * Like {@link remove}, but mounts tracefs again if it was unmounted: an instance out of reach would go on tracing.
   */
  removeFrom(tracefs: Tracefs, givenPath: string | undefined): void {
    if (tracefs.isMounted()) return this.remove();
    const mountedAgain = findTracefs(givenPath);
    try {
      new TracingInstance(mountedAgain.path, basename(this.path)).remove();
    } finally {
      mountedAgain.release();
    }
  }

  #refuseMarkers(): void {
    if (this.#markers) tryWriteControl(this.path, 'options/copy_trace_marker', '0');
  }
}

/**
 * The value of `buffer_size_kb` with which a buffer takes this many bytes of memory: the kernel adds a sub-buffer for
 * the reader, and counts no headers (ring_buffer_resize, kernel/trace/ring_buffer.c).
 */
function dataKib(bytes: number, subBuffer: number): string {
  const subBuffers = Math.max(1, Math.floor(bytes / subBuffer) - 1);
  return String(Math.floor((subBuffers * (subBuffer - PAGE_HEADER)) / 1024));
}

/** Bytes at the start of a sub-buffer that hold no events. */
const PAGE_HEADER = 16;
