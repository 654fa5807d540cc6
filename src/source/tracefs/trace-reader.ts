/** The interface of readers of trace buffers, and the file access that they share. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { fileError, isTransientReadError } from '../../system/errors.js';

/** Reads the buffers of an instance, or of tracefs itself, in binary or as text. */
export interface TraceReader {
  /**
   * Delivers the events that are there now.
   * @param untilNs on the trace clock; a binary reader leaves newer events for the next drain
   * @param deadlineMs as `nowMs` counts: when to stop and report {@link Drained.behind}
   * @param isQuiet true if no VM runs: then events of a CPU may wait for a few drains while no other CPU has any.
   *   Default: false
   */
  drain(untilNs: number, deadlineMs: number, nowMs: () => number, isQuiet?: boolean): Drained;
  /** CPUs can be plugged in while the agent runs. */
  openNewCpus(): void;
  /** Reports what other programs read from the buffers or threw away since the last call. Each drain begins so. */
  findForeignReads(): void;
  /** Events that the kernel overwrote or refused since the buffers were made, by CPU. */
  overruns(): Map<number, number>;
  close(): void;
}

/**
 * Called when another program read `events` events from the buffers, or emptied one ({@link UNKNOWN_LOSS}); the gap is
 * before the next event that is delivered.
 */
export type OnForeignRead = (events: number) => void;

export interface Drained {
  /** Bytes read from the fullest CPU's buffer: how far the kernel was ahead. */
  readonly mostBytes: number;
  /** True if time was up before the buffers were empty. */
  readonly behind: boolean;
}

/** A buffer (`trace_pipe`, `trace_pipe_raw`) whose reads return at once. */
export class BufferFile {
  readonly #fd: number;

  /** @throws AgentError if it cannot be opened */
  constructor(path: string) {
    try {
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /** Bytes read into `target`; 0 if nothing can be read now. */
  read(target: Buffer): number {
    const { stackTraceLimit } = Error;
    // An empty buffer answers EAGAIN, which is ordinary here: without its stack trace the error costs far less.
    Error.stackTraceLimit = 0;
    try {
      return readSync(this.#fd, target, 0, target.length, null);
    } catch (error) {
      if (isTransientReadError(error)) return 0;
      throw error;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
