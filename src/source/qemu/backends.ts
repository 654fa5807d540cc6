/**
 * Finds out which trace backends a QEMU binary has, without running it: by texts that only the code of one backend
 * contains.
 *
 * - simple: `Trace file "%s" %s.`, which `info trace-file` prints (trace/simple.c, st_print_trace_file_status)
 * - ftrace: `Could not open ftrace 'trace_marker' file` (trace/ftrace.c)
 * - log: the prefix `%d@%zu.%06zu:` in the text of each event (scripts/tracetool/backend/log.py, up to 10.0). Later
 *   texts have no prefix. Then the bare text of an event means log, unless the binary has ftrace, which contains the
 *   same text.
 * - dtrace: the ELF notes `stapsdt`. ust: the name of its library.
 *
 * Checked with Debian's QEMU 7.2 (log), and builds of it with log, simple and ftrace, and with simple alone.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** Text that shows a backend, by backend. `bare`: see above. In the order of the result. */
const TEXTS = {
  log: '%d@%zu.%06zu:',
  bare: 'kvm_run_exit cpu_index %d, reason %d',
  simple: 'Trace file "%s" %s',
  ftrace: "Could not open ftrace 'trace_marker' file",
  dtrace: 'stapsdt',
  ust: 'liblttng-ust',
} as const;

type Found = keyof typeof TEXTS;

const CHUNK = 1 << 20;
/** Bytes of a chunk that are searched again with the next chunk: more than the longest text has. */
const OVERLAP = 64;

/** Names of the backends; undefined if the file cannot be read. */
export function qemuBackends(path: string): string[] | undefined {
  const found = findTexts(path);
  if (found === undefined) return undefined;
  if (found.has('bare') && !found.has('ftrace')) found.add('log');
  found.delete('bare');
  return (Object.keys(TEXTS) as Found[]).filter((name) => found.has(name));
}

function findTexts(path: string): Set<Found> | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const buffer = Buffer.alloc(OVERLAP + CHUNK);
    const found = new Set<Found>();
    for (;;) {
      const length = readSync(file, buffer, OVERLAP, CHUNK, null);
      if (length === 0) return found;
      const bytes = buffer.subarray(0, OVERLAP + length);
      for (const [name, text] of Object.entries(TEXTS) as [Found, string][])
        if (!found.has(name) && bytes.includes(text, 0, 'latin1')) found.add(name);
      buffer.copyWithin(0, length, OVERLAP + length);
    }
  } catch {
    // The process has ended, or this user may not read the binary of another user's process.
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
