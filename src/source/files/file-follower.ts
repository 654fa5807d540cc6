/**
 * Delivers what is written to one open file, once, whatever becomes of its name. The owner of the descriptor closes it.
 */
export interface FileFollower {
  /** Delivers what is new, at once or soon after. `deadlineMs`: when to leave the rest to the next call. */
  poll(nowMs: number, deadlineMs: number): void;
  /** Bytes delivered so far. */
  readonly bytesRead: number;
  /** Time of the latest read that returned bytes. */
  readonly activeMs: number;
  /** True if the file has bytes that were not delivered yet. */
  readonly busy: boolean;
  close(): void;
}

/** Takes the bytes of one file, in order. */
export interface ByteSink {
  push(bytes: Uint8Array): void;
  /** The file ends here or was truncated: a line that has begun will not be completed. */
  end(): void;
  /** An unknown number of bytes is missing here. */
  lost(): void;
}
