import type { RecordingReader } from './formats/recording-format.js';
import type { RecordingFile } from './recording-file.js';

/** Reads a recording to its end, as fast as possible. */
export async function replayFile(
  recording: RecordingFile,
  reader: RecordingReader,
  onRead?: (bytes: number) => void,
): Promise<void> {
  const chunks = recording.chunks(onRead);
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return reader.end(next.value);
    reader.push(next.value);
  }
}
