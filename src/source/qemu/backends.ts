/**
 * Which trace backends a QEMU binary has, without running it: by texts that only one backend's code has.
 *
 * - simple: `Trace file "%s" %s.`, what `info trace-file` prints (trace/simple.c, st_print_trace_file_status)
 * - ftrace: `Could not open ftrace 'trace_marker' file` (trace/ftrace.c)
 * - log: the prefix `%d@%zu.%06zu:` in each event's text (scripts/tracetool/backend/log.py, through 10.0). Later the
 *   text has none: then the bare text of an event means log, unless ftrace is there, which has the same.
 * - dtrace: the ELF notes `stapsdt`. ust: the library's name.
 * Checked with Debian's QEMU 7.2 (log), builds of it with log, simple, ftrace, and with simple alone.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const MARKERS = {
  log: '%d@%zu.%06zu:',
  bare: 'kvm_run_exit cpu_index %d, reason %d',
  simple: 'Trace file "%s" %s',
  ftrace: "Could not open ftrace 'trace_marker' file",
  dtrace: 'stapsdt',
  ust: 'liblttng-ust',
} as const;

type Marker = keyof typeof MARKERS;

const CHUNK = 1 << 20;
/** Of one chunk that is looked at again with the next: longer than any marker. */
const OVERLAP = 64;

/** In the order of the table above; undefined where the file can't be read. */
export function qemuBackends(path: string): string[] | undefined {
  const found = findMarkers(path);
  if (found === undefined) return undefined;
  if (found.has('bare') && !found.has('ftrace')) found.add('log');
  found.delete('bare');
  return (Object.keys(MARKERS) as Marker[]).filter((marker) => found.has(marker));
}

function findMarkers(path: string): Set<Marker> | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const buffer = Buffer.alloc(OVERLAP + CHUNK);
    const found = new Set<Marker>();
    for (;;) {
      const length = readSync(file, buffer, OVERLAP, CHUNK, null);
      if (length === 0) return found;
      const bytes = buffer.subarray(0, OVERLAP + length);
      for (const [marker, text] of Object.entries(MARKERS) as [Marker, string][])
        if (!found.has(marker) && bytes.includes(text, 0, 'latin1')) found.add(marker);
      buffer.copyWithin(0, length, OVERLAP + length);
    }
  } catch {
    return undefined; // it has ended, or reading another's binary is not permitted
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
