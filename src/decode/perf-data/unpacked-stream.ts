import { ZstdDecoder } from '../zstd/zstd-decoder.js';
import type { RecordStream } from './record-stream.js';

/**
 * The records inside of a stream's compressed records (`perf record -z`). Together these are one zstd frame, which perf
 * never ends, and a record may begin in one of them and end in the next.
 */
export class UnpackedStream {
  readonly records: RecordStream;
  readonly #zstd = new ZstdDecoder();

  constructor(records: RecordStream) {
    this.records = records;
  }

  /** Adds packed bytes. False if they are damaged, or came behind damaged ones. */
  push(packed: Uint8Array): boolean {
    this.#zstd.push(packed);
    while (this.records.isReadable) {
      const piece = this.#zstd.next();
      if (piece === undefined) return this.#zstd.problem === undefined;
      this.records.push(piece);
    }
    return false;
  }
}
