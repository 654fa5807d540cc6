/**
 * The list of trace events that is installed with a QEMU (share/qemu/trace-events-all).
 *
 *   # kvm-all.c
 *   kvm_run_exit(int cpu_index, uint32_t reason) "cpu_index %d, reason %d"
 *   load_file(const char *name, const char *path) "name %s location %s"
 *   disable qxl_interface_set_mm_time(int qid, uint32_t mm_time) "%d %d"
 *
 * Specified by scripts/tracetool/__init__.py (7.2): lines `[properties] name(type arg, ...) "format"`, and `#`
 * comments. Other lines are skipped.
 *
 * The order of the list gives the events their numbers in old simple traces: version 3 numbers all events, `disable`d
 * ones too (scripts/simpletrace.py of QEMU 2.x), version 2 only the enabled ones (QEMU 1.x). Version 4 brings its own
 * numbers. Up to QEMU 6, an event with the property `tcg` stands for two: `<name>_trans` and `<name>_exec`.
 */

export interface TraceEvent {
  readonly name: string;
  /** True if the event is compiled out: no trace can hold it. */
  readonly disabled: boolean;
}

export interface TraceEvents {
  /** In the order of the file, disabled events included. */
  readonly events: readonly TraceEvent[];
}

const MAX_LINE = 16384;

export function parseTraceEvents(text: string): TraceEvents {
  return { events: text.split('\n').flatMap(parseLine) };
}

/** The events that a line declares: one, two, or none if the line declares no event. */
function parseLine(line: string): TraceEvent[] {
  const text = line.trim();
  if (text.startsWith('#') || text.length > MAX_LINE) return [];
  const open = text.indexOf('(');
  if (open < 0 || !text.includes(')', open)) return [];
  const words = text.slice(0, open).split(/\s+/);
  const name = words.pop() ?? '';
  if (!/^\w+$/.test(name)) return [];
  const disabled = words.includes('disable');
  const names = words.includes('tcg') ? [`${name}_trans`, `${name}_exec`] : [name];
  return names.map((each) => ({ name: each, disabled }));
}
