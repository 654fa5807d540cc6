import { ZstdDecoder } from './zstd-decoder.js';

/** Unpacks pieces of data one by one, each of whole frames. Keeps its memory from piece to piece. */
export class ZstdUnpacker {
  readonly #decoder = new ZstdDecoder();

  /** The content of `packed`; undefined if it is damaged, incomplete or has more than `maxSize` bytes. */
  unpack(packed: Uint8Array, maxSize: number): Uint8Array | undefined {
    const decoder = this.#decoder;
    const content = new Uint8Array(maxSize);
    let length = 0;
    decoder.reset();
    decoder.push(packed);
    for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) {
      if (length + piece.length > maxSize) return undefined;
      content.set(piece, length);
      length += piece.length;
    }
    return decoder.isComplete ? content.subarray(0, length) : undefined;
  }
}
