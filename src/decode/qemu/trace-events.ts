/**
 * QEMU's list of trace events, as installed with a build (share/qemu/trace-events-all).
 *
 *   # kvm-all.c
 *   kvm_run_exit(int cpu_index, uint32_t reason) "cpu_index %d, reason %d"
 *   load_file(const char *name, const char *path) "name %s location %s"
 *   disable qxl_interface_set_mm_time(int qid, uint32_t mm_time) "%d %d"
 *
 * Specified by scripts/tracetool/__init__.py (7.2): `[properties] name(type arg, ...) "format"`, a line each, `#` comments.
 * Numbers of events: simple traces of version 3 count all events, `disable`d ones too (scripts/simpletrace.py of QEMU 2.x);
 * version 2 counts only the enabled (QEMU 1.x). Version 4 brings its own numbers. To QEMU 6, an event with the property `tcg`
 * stands for two, `<name>_trans` and `<name>_exec`.
 * Not done: the argument that the property `vcpu` adds in some versions. Lines that are no event are skipped.
 */

export interface TraceEventArgument {
  readonly type: string;
  readonly name: string;
  /** How the simple backend stores it: a string as length and bytes, anything else as 64 bits. */
  readonly kind: 'string' | 'integer';
}

export interface TraceEvent {
  /** Place in the list, from 0, disabled events counted too. */
  readonly id: number;
  readonly name: string;
  /** Compiled out: no trace can hold it. */
  readonly disabled: boolean;
  readonly args: readonly TraceEventArgument[];
  /** As written, with its quotes; empty where the event has none. */
  readonly format: string;
}

export interface TraceEvents {
  /** In the order of the file. */
  readonly events: readonly TraceEvent[];
}

const MAX_LINE = 16384;

export function parseTraceEvents(text: string): TraceEvents {
  const events: TraceEvent[] = [];
  for (const line of text.split('\n')) {
    const parsed = parseLine(line);
    if (parsed === undefined) continue;
    for (const name of parsed.names) events.push({ ...parsed.event, name, id: events.length });
  }
  return { events };
}

function parseLine(line: string): { event: Omit<TraceEvent, 'id' | 'name'>; names: string[] } | undefined {
  const text = line.trim();
  if (text.startsWith('#') || text.length > MAX_LINE) return undefined;
  const open = text.indexOf('(');
  const close = text.indexOf(')', open);
  if (open < 0 || close < 0) return undefined;
  const words = text.slice(0, open).split(/\s+/);
  const name = words.pop() ?? '';
  if (!/^\w+$/.test(name)) return undefined;
  const event = {
    disabled: words.includes('disable'),
    args: parseArguments(text.slice(open + 1, close)),
    format: text.slice(close + 1).trim(),
  };
  return { event, names: words.includes('tcg') ? [`${name}_trans`, `${name}_exec`] : [name] };
}

function parseArguments(text: string): TraceEventArgument[] {
  const args: TraceEventArgument[] = [];
  for (const part of text.split(',')) {
    const declaration = part.trim();
    if (declaration === '' || declaration === 'void') continue;
    const name = /\w*$/.exec(declaration)?.[0] ?? '';
    const type = declaration.slice(0, declaration.length - name.length).trim();
    args.push({ type, name, kind: isString(type) ? 'string' : 'integer' });
  }
  return args;
}

/** is_string of scripts/tracetool/backend/simple.py. A pointer to something else is stored as a number. */
function isString(type: string): boolean {
  return /^(const )?char ?\*/.test(type);
}
