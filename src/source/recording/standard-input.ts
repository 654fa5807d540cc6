import { Readable } from 'node:stream';
import { AgentError, errnoOf, fileError } from '../../system/errors.js';
import { FormatSearch } from './formats/recognise.js';
import type { PageFormat, RecordingFormat } from './formats/recording-format.js';
import { packingOf, type ReadEnd, unpack } from './pages/read-chunks.js';
import { MAGIC_BYTES, type RecordingFile } from './recording-file.js';

/** The name of standard input in messages. */
const NAME = 'standard input';
/** Bytes that are kept until the first event has come, as a pipe cannot be read twice. */
const MAX_HEAD_BYTES = 1 << 24;

/**
 * Opens standard input as a recording, which can be read once. Waits for the first event, or for the end.
 * @param stop ends the input where it is
 * @throws AgentError if it is empty, of no known format, or of one that is not read from its start to its end
 */
export async function openStandardInput(stop: AbortSignal): Promise<RecordingFile> {
  if (process.stdin.isTTY)
    throw new AgentError(`${NAME}: is a terminal; name a file, or send a recording: kvm-exit-exporter report - < FILE`);
  const bytes = untilStopped(process.stdin, stop);
  const start = await readAtLeast(bytes, MAGIC_BYTES);
  const magic = Buffer.concat(start.parts);
  if (magic.length === 0) throw new AgentError(`${NAME}: is empty`);
  const content = unpack(Readable.from(joined(start.parts, bytes), { objectMode: false }), packingOf(magic));
  const { parts, format, end } = await recognise(content);
  if ('openPages' in format)
    throw new AgentError(`${NAME}: ${format.name} is not read from its start to its end; save it to a file first`);
  return { path: NAME, fileName: '', size: 0, format, chunks: () => joined(parts, content, end) };
}

/** Reads until the format is known. Returns what was read; `end` is undefined if there is more. */
async function recognise(content: AsyncGenerator<Uint8Array, ReadEnd>): Promise<{
  parts: Uint8Array[];
  format: PageFormat | RecordingFormat;
  end: ReadEnd | undefined;
}> {
  const search = new FormatSearch(NAME, MAX_HEAD_BYTES);
  const parts: Uint8Array[] = [];
  for (;;) {
    const next = await content.next();
    if (next.done === true) {
      if (parts.length === 0) throw new AgentError(`${NAME}: holds nothing that can be unpacked`);
      return { parts, format: search.end(), end: next.value };
    }
    parts.push(next.value);
    const format = search.push(next.value);
    if (format !== undefined) return { parts, format, end: undefined };
  }
}

async function* untilStopped(input: NodeJS.ReadStream, stop: AbortSignal): AsyncGenerator<Uint8Array, ReadEnd> {
  const end = () => input.destroy();
  stop.addEventListener('abort', end);
  try {
    for await (const chunk of input) yield chunk as Buffer;
  } catch (error) {
    if (!stop.aborted || errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw fileError(NAME, error);
  } finally {
    stop.removeEventListener('abort', end);
  }
  return 'whole';
}

/** `end` is undefined if there is more to read. */
async function readAtLeast(
  chunks: AsyncGenerator<Uint8Array, ReadEnd>,
  length: number,
): Promise<{ parts: Uint8Array[]; end: ReadEnd | undefined }> {
  const parts: Uint8Array[] = [];
  for (let held = 0; held < length; ) {
    const next = await chunks.next();
    if (next.done === true) return { parts, end: next.value };
    parts.push(next.value);
    held += next.value.length;
  }
  return { parts, end: undefined };
}

/** Chunks that were read before, and the rest. */
async function* joined(
  parts: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array, ReadEnd>,
  end?: ReadEnd,
): AsyncGenerator<Uint8Array, ReadEnd> {
  yield* parts;
  return end ?? (yield* rest);
}
