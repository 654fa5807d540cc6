import type { RecordingReader } from './formats/recording-format.js';
import type { RecordingFile } from './recording-file.js';

export interface ReplayLimits {
  /** Called with the number of bytes read from disk since the last call. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /** Reading stops once it returns true; the reader is not ended then. */
  readonly isDone?: () => boolean;
}

/** Reads a recording to its end, as fast as possible. */
export async function replayFile(
  recording: RecordingFile,
  reader: RecordingReader,
  { onRead, isDone }: ReplayLimits = {},
): Promise<void> {
  const chunks = recording.chunks(onRead, reader.copiesChunks);
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return reader.end(next.value);
    reader.push(next.value);
    if (isDone?.() === true) return void (await chunks.return('whole'));
  }
}
