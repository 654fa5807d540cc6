import type { Invocation } from '../config/parse-command-line.js';
import { USED_EVENTS } from '../decode/qemu/event-details.js';
import { Qmp, type TraceEventState } from '../source/qemu/qmp.js';
import { AgentError } from '../system/errors.js';

const VERBS = ['enable', 'disable', 'status'] as const;
type Verb = (typeof VERBS)[number];

/** Switches trace events of a running QEMU, or shows which are on. */
export async function qemu({ get, operands: [verb = '', ...names] }: Invocation): Promise<void> {
  if (!isVerb(verb)) throw new AgentError(`qemu ${verb}: expected enable, disable or status`);
  const qmp = await Qmp.connect(get('qmp'));
  try {
    const states = await (verb === 'status' ? status(qmp, names) : change(qmp, verb === 'enable', names));
    process.stdout.write(states.map(({ name, state }) => `${state.padEnd(11)}  ${name}\n`).join(''));
  } finally {
    qmp.close();
  }
}

function isVerb(verb: string): verb is Verb {
  return VERBS.some((known) => known === verb);
}

/** Of the events named; where none is, those that are on. */
async function status(qmp: Qmp, names: readonly string[]): Promise<TraceEventState[]> {
  if (names.length > 0) return statesOf(qmp, names);
  const on = (await qmp.states('*')).filter(({ state }) => state === 'enabled');
  if (on.length === 0) process.stderr.write('kvm-exit-exporter: no trace event is on\n');
  return on;
}

async function change(qmp: Qmp, enable: boolean, names: readonly string[]): Promise<TraceEventState[]> {
  const chosen = names.length > 0 ? names : await understood(qmp);
  // All of them first: half of what was asked for is worse than nothing.
  await statesOf(qmp, chosen);
  for (const name of chosen) await qmp.setState(name, enable);
  return statesOf(qmp, chosen);
}

/** What this program understands, as far as that QEMU has it. */
async function understood(qmp: Qmp): Promise<string[]> {
  const there = new Map((await qmp.states('*')).map(({ name, state }) => [name, state]));
  return USED_EVENTS.filter((name) => there.has(name) && there.get(name) !== 'unavailable');
}

async function statesOf(qmp: Qmp, names: readonly string[]): Promise<TraceEventState[]> {
  const states: TraceEventState[] = [];
  for (const name of names) {
    const found = await qmp.states(name);
    if (found.length === 0) throw new AgentError(`${name}: this QEMU has no such trace event`);
    states.push(...found);
  }
  return states.sort((a, b) => (a.name < b.name ? -1 : 1));
}
