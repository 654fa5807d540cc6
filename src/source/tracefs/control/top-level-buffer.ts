import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryReadText } from '../../../system/files.js';

/**
 * Makes the top-level buffer as large as an instance's would be. Unused, it has 7 KiB per CPU, which about a hundred of
 * QEMU's markers fill. Returns a function that restores the size.
 *
 * `buffer_size_kb` reads `7 (expanded: 1408)` if the kernel will enlarge the buffer to 1408 KiB at its first use, which
 * is now. It reads `X` if the sizes of the CPUs differ; such a buffer is left as it is.
 */
export function enlargeTopLevelBuffer(tracefs: string, bufferSize: number): () => void {
  const file = join(tracefs, 'buffer_size_kb');
  const previousKib = Number(/^(?:\d+ \(expanded: )?(\d+)\)?$/.exec(tryReadText(file)?.trim() ?? '')?.[1]);
  const wantedKib = Math.ceil(bufferSize / 1024);
  if (!(previousKib < wantedKib) || !trySetSize(file, wantedKib)) return () => {};
  return () => {
    // Refused while another program reads the buffer: then it stays large.
    trySetSize(file, previousKib);
  };
}

function trySetSize(file: string, kib: number): boolean {
  try {
    writeFileSync(file, String(kib));
    return true;
  } catch {
    return false;
  }
}
