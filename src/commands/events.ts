import type { Invocation } from '../config/parse-command-line.js';
import { USED_EVENTS } from '../decode/qemu/event-details.js';
import { readTraceEvents } from '../source/qemu/find-trace-events.js';
import { AgentError } from '../system/errors.js';
import { namePattern } from '../system/name-pattern.js';
import { print } from '../system/printable.js';

/** Prints names of trace events, one per line, as `-trace events=FILE` expects them. */
export async function events({ get, operands: [path = '', ...more] }: Invocation): Promise<void> {
  if (more.length > 0) throw new AgentError(`events takes one file, but got ${[path, ...more].join(' ')}`);
  const isMatch = namePattern(get('pattern'));
  const used = get('used') ? new Set(USED_EVENTS) : undefined;
  const all = readTraceEvents(path).events;
  if (all.length === 0) throw new AgentError(`${path}: holds no trace events; expected QEMU's trace-events-all`);
  const names = all
    .filter(({ name, disabled }) => !disabled && isMatch(name) && (used?.has(name) ?? true))
    .map(({ name }) => name);
  if (names.length === 0) throw new AgentError(`${path}: none of its ${all.length} events matches`);
  print(names.map((name) => `${name}\n`).join(''));
}
