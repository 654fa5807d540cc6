/**
 * What a recording says about the VMs of its host (PURE): one line of JSON for each VM.
 *
 *   {"pid":155,"startTime":812,"vmm":"qemu","name":"vm-a", ... "threads":{"155":"qemu-system-x86","158":"CPU 0/KVM"}}
 *
 * Command lines are left out, because they can contain secrets.
 */
import { NO_FACTS, type VmmIdentity } from '../identify/cmdline.js';
import { type Mutable, newVm, type Vm } from './vm.js';

export interface NotedVm {
  readonly vm: Mutable<Vm>;
  /** Thread id -> name. */
  readonly threads: ReadonlyMap<number, string>;
}

const FACTS = ['vmm', ...Object.keys(NO_FACTS)] as readonly (keyof VmmIdentity)[];
const CGROUP_FACTS = ['podUid', 'containerId'] as const;
const MAX_VMS = 1 << 16;
const MAX_THREADS = 1 << 18;
const MAX_ID = 1 << 22;
const MAX_TEXT = 1024;

export function noteVm({ vm, threads }: { readonly vm: Vm; readonly threads: ReadonlyMap<number, string> }): string {
  const facts = Object.fromEntries([...FACTS, ...CGROUP_FACTS].map((fact) => [fact, vm[fact]]));
  const { pid, startTime, startSeconds, uid } = vm;
  return JSON.stringify({ pid, startTime, startSeconds, uid, ...facts, threads: Object.fromEntries(threads) });
}

/** Reads the lines that {@link noteVm} wrote. Lines that say something else are left out. */
export function parseNotedVms(text: string): NotedVm[] {
  const noted: NotedVm[] = [];
  let threads = 0;
  for (const line of text.split('\n')) {
    const vm = line.startsWith('{') ? parseLine(line) : undefined;
    threads += vm?.threads.size ?? 0;
    if (noted.length === MAX_VMS || threads > MAX_THREADS) break;
    if (vm !== undefined) noted.push(vm);
  }
  return noted;
}

function parseLine(line: string): NotedVm | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const facts = new Map(Object.entries(value));
  const number = (name: string) => numberOr(facts.get(name), Number.NaN);
  const pid = number('pid');
  if (!isId(pid) || !(number('startTime') >= 0)) return undefined;
  const textOf = (name: string) => shortText(facts.get(name));
  const identity = Object.fromEntries(FACTS.map((fact) => [fact, textOf(fact)])) as unknown as VmmIdentity;
  const cgroup = Object.fromEntries(CGROUP_FACTS.map((fact) => [fact, textOf(fact)]));
  const start = {
    pid,
    startTime: number('startTime'),
    startSeconds: number('startSeconds'),
    uid: numberOr(facts.get('uid'), -1),
  };
  const threads = facts.get('threads');
  const names = isRecord(threads) ? Object.entries(threads) : [];
  return {
    vm: newVm(start, identity, cgroup),
    threads: new Map(names.flatMap(([tid, comm]) => (isId(Number(tid)) ? [[Number(tid), shortText(comm)]] : []))),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= MAX_ID;
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

function shortText(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : '';
}
