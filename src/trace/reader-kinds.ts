/** How the ring buffers are read: as pages, as lines of text, or as pages if this kernel's can be decoded. */
export const READER_KINDS = ['auto', 'binary', 'text'] as const;
export type ReaderKind = (typeof READER_KINDS)[number];
