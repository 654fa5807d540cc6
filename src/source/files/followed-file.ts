/**
 * A file that grows, by its descriptor: what is written to it is delivered once, whatever becomes of its name.
 */

/** Takes the bytes of one file, in order. */
export interface FollowedBytes {
  push(bytes: Uint8Array): void;
  /** The file is over, or starts anew: what is begun will not be completed. */
  end(): void;
  /** Bytes are missing here, nobody knows how many. */
  lost(): void;
}

/** Reads one open file. The descriptor is its owner's to close. */
export interface InodeReader {
  /** Reads what is new, or has it read. `deadlineMs`: when to leave the rest for the next call. */
  poll(nowMs: number, deadlineMs: number): void;
  /** Bytes delivered so far. */
  readonly bytesRead: number;
  /** When something was last read. */
  readonly activeMs: number;
  /** What is there has not all been delivered. */
  readonly busy: boolean;
  close(): void;
}
