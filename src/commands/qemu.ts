import type { Invocation } from '../config/parse-command-line.js';
import { USED_EVENTS } from '../decode/qemu/event-details.js';
import { Qmp, type TraceEventState } from '../source/qemu/qmp.js';
import { AgentError } from '../system/errors.js';
import { print, printable, printMessage } from '../system/printable.js';

const ACTIONS: Readonly<Record<string, (qmp: Qmp, names: readonly string[]) => Promise<TraceEventState[]>>> = {
  enable: (qmp, names) => switchEvents(qmp, true, names),
  disable: (qmp, names) => switchEvents(qmp, false, names),
  status,
};

/** Switches trace events of a running QEMU, or shows which are on. */
export async function qemu({ get, operands: [verb = '', ...names] }: Invocation): Promise<void> {
  const act = Object.hasOwn(ACTIONS, verb) ? ACTIONS[verb] : undefined;
  if (act === undefined) throw new AgentError(`qemu ${verb}: expected enable, disable or status`);
  const qmp = await Qmp.connect(get('qmp'));
  try {
    const states = await act(qmp, names);
    print(states.map(({ name, state }) => `${printable(`${state.padEnd(11)}  ${name}`)}\n`).join(''));
  } finally {
    qmp.close();
  }
}

/** The states of the named events, or all events that are on if none is named. */
async function status(qmp: Qmp, names: readonly string[]): Promise<TraceEventState[]> {
  if (names.length > 0) return statesOf(qmp, names);
  const on = (await qmp.states('*')).filter(({ state }) => state === 'enabled');
  if (on.length === 0) printMessage('no trace event is on');
  return on;
}

async function switchEvents(qmp: Qmp, enable: boolean, names: readonly string[]): Promise<TraceEventState[]> {
  const chosen = names.length > 0 ? names : await usedEvents(qmp);
  // Fails if one of them is unknown, before any is switched: a half-done change would be worse than none.
  await statesOf(qmp, chosen);
  for (const name of chosen) await qmp.setState(name, enable);
  return statesOf(qmp, chosen);
}

/** The events that this program understands and this QEMU has. */
async function usedEvents(qmp: Qmp): Promise<string[]> {
  const states = new Map((await qmp.states('*')).map(({ name, state }) => [name, state]));
  return USED_EVENTS.filter((name) => states.has(name) && states.get(name) !== 'unavailable');
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
