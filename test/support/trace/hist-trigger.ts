/** The kernel counts an event by the values of its fields: hist triggers, in a tracing instance of their own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACEFS } from '../agent/start-agent.js';

export interface HistEvent {
  readonly event: string;
  readonly keys: string;
}

/** The values of the keys, and `hits`. */
export type HistLine = Readonly<Record<string, number>>;

const triggerOf = (instance: string, event: string) => join(instance, 'events/kvm', event, 'trigger');

export function addHist(instance: string, { event, keys }: HistEvent): void {
  writeFileSync(triggerOf(instance, event), `hist:keys=${keys}:size=4096`);
}

export function removeHist(instance: string, { event, keys }: HistEvent): void {
  writeFileSync(triggerOf(instance, event), `!hist:keys=${keys}:size=4096`);
}

/** Parses lines such as `{ common_pid: 181, reason: 2, errno: 0 } hitcount: 50000`. */
export function readHist(instance: string, { event }: HistEvent): HistLine[] {
  const text = readFileSync(join(instance, 'events/kvm', event, 'hist'), 'utf8');
  if (!/Dropped: 0$/m.test(text)) throw new Error(`the hist trigger dropped events:\n${text}`);
  return [...text.matchAll(/^\{(.*)\} hitcount:\s+(\d+)/gm)].map(([, keys = '', hits]) => ({
    ...Object.fromEntries(
      [...keys.matchAll(/(\w+):\s+(\d+)/g)].map(([, key, value]) => [
        key,
        Number(BigInt.asIntN(32, BigInt(value ?? 0))),
      ]),
    ),
    hits: Number(hits),
  }));
}

/**
 * The kernel's names of reason codes, from the event's format: `{ 0x07b, "io" }` or `{ 2, "KVM_EXIT_" "IO" }`. The
 * format of kvm_exit has a table for VMX before the one for SVM, so the last table is the right one.
 */
export function readReasonNames({ event }: HistEvent): Map<number, string> {
  const format = readFileSync(join(TRACEFS, 'events/kvm', event, 'format'), 'utf8');
  const table = (format.split('__print_symbolic(').at(-1) ?? '').replaceAll('" "', '');
  return new Map([...table.matchAll(/\{ (\w+), "([^"]+)" \}/g)].map(([, code, name]) => [Number(code), name ?? '']));
}
