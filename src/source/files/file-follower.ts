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
  /** Bytes that were requested and will be delivered later. */
  readonly pendingBytes: number;
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

/** Bytes of one file that may wait to be read. If more is new, the oldest part is skipped and counts as a loss. */
export const MAX_BACKLOG = 256 << 20;
/** Bytes of a block in `stat`, whatever the file system. */
const BLOCK_BYTES = 512;

/**
 * Position from which a file with too large a backlog is read on. A file that consists of holes, which cost its writer
 * nothing, is read on at its end.
 */
export function skipBacklog({ size, blocks }: { readonly size: number; readonly blocks: number }): number {
  return blocks * BLOCK_BYTES < size / 1024 ? size : size - MAX_BACKLOG;
}
