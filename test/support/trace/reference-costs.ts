/**
 * A second, independent computation of exit durations, causes and I/O from the text of a recording. It is slow and
 * simple: a regular expression per line and maps of strings. It imports nothing from src/, so that both cannot be wrong
 * in the same way.
 *
 *   CPU 0/KVM-186     (    179) [001] d..1.     5.926225: kvm_entry: vcpu 0, rip 0xfff0
 */

export interface ReferenceCosts {
  /** Count, total, shortest and longest duration in microseconds, by `tid layer reason`. */
  readonly durations: Map<string, { count: number; totalUs: number; minUs: number; maxUs: number }>;
  /** Microseconds outside the guest, by `tid layer`; the layer is `idle` for HLT. */
  readonly outsideGuest: Map<string, number>;
  /** Userspace exits by `tid reason userspace_reason`. */
  readonly causes: Map<string, number>;
  /** Accesses by `tid layer bus direction address`; the address of an MMIO access is that of its page. */
  readonly io: Map<string, number>;
}

const LINE =
  /-(\d+) +(?:\( *\d+\) )?\[\d+\] \S+ +(\d+)\.(\d{6}): (kvm_exit|kvm_entry|kvm_userspace_exit|kvm_pio|kvm_mmio): (.*)$/;

interface Thread {
  /** The VM exit since the last entry, unless it went on to userspace. */
  vmExit?: { us: number; reason: string } | undefined;
  userspaceExit?: { us: number; reason: string } | undefined;
  /** `bus direction address` of a write of which it is not known yet whether KVM or QEMU handles it. */
  pendingWrite?: string | undefined;
  /** A userspace exit asked QEMU for the value of a read; the event with the value follows. */
  /** An entry of the vCPU was seen: only then is it known that this kernel raises entries. */
  entered?: boolean;
  /** An exit was seen before the open userspace exit, or before the first of several in a row. */
  sawExit?: boolean;
  /** The guest was halted when a signal interrupted KVM_RUN, so it is halted until its entry. */
  halted?: boolean;
  readPending?: boolean;
  /** The current read is counted already. */
  readCounted?: boolean;
}

export function referenceCosts(text: string): ReferenceCosts {
  const costs: ReferenceCosts = { durations: new Map(), outsideGuest: new Map(), causes: new Map(), io: new Map() };
  const threads = new Map<string, Thread>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, tid = '', seconds, micros, event, rest = ''] = match;
    const thread = threads.get(tid) ?? {};
    threads.set(tid, thread);
    const us = Number(seconds) * 1e6 + Number(micros);
    if (event === 'kvm_exit') onExit(costs, tid, thread, us, /reason (.*?) rip /.exec(rest)?.[1] ?? '?');
    if (event === 'kvm_entry') onEntry(costs, tid, thread, us);
    if (event === 'kvm_userspace_exit') onUserspaceExit(costs, tid, thread, us, /reason (\S+) /.exec(rest)?.[1] ?? '?');
    if (event === 'kvm_pio' || event === 'kvm_mmio') onAccess(costs, tid, thread, rest);
  }
  for (const [tid, thread] of threads) settleWrite(costs, tid, thread);
  return costs;
}

function onExit(costs: ReferenceCosts, tid: string, thread: Thread, us: number, reason: string): void {
  settleWrite(costs, tid, thread);
  thread.readPending = thread.readCounted = false;
  thread.vmExit = { us, reason };
  thread.userspaceExit = undefined;
}

function onEntry(costs: ReferenceCosts, tid: string, thread: Thread, us: number): void {
  const from = thread.userspaceExit ?? thread.vmExit;
  thread.entered = true;
  const layer = thread.userspaceExit ? 'qemu' : 'kvm';
  if (from !== undefined) {
    const key = `${tid} ${layer} ${from.reason}`;
    const own = costs.durations.get(key) ?? { count: 0, totalUs: 0, minUs: Number.POSITIVE_INFINITY, maxUs: 0 };
    const took = us - from.us;
    const waits = layer === 'qemu' && (thread.halted || isPaused(from.reason, took));
    if (!waits)
      costs.durations.set(key, {
        count: own.count + 1,
        totalUs: own.totalUs + took,
        minUs: Math.min(own.minUs, took),
        maxUs: Math.max(own.maxUs, took),
      });
    if (layer === 'qemu') addUserspaceTime(costs, tid, thread, took);
    else addOutsideGuest(costs, tid, layer, from.reason, took);
  }
  settleWrite(costs, tid, thread);
  thread.readPending = thread.readCounted = false;
  thread.vmExit = thread.userspaceExit = undefined;
}

function onUserspaceExit(costs: ReferenceCosts, tid: string, thread: Thread, us: number, reason: string): void {
  increment(costs.causes, `${tid} ${thread.vmExit?.reason ?? 'none'} ${reason}`);
  if (thread.userspaceExit) {
    if (thread.entered && thread.sawExit) addUserspaceTime(costs, tid, thread, us - thread.userspaceExit.us);
  } else {
    if (thread.vmExit && thread.entered)
      addOutsideGuest(costs, tid, 'kvm', thread.vmExit.reason, us - thread.vmExit.us);
    thread.sawExit = thread.vmExit !== undefined;
    thread.halted = thread.vmExit !== undefined && IDLE.test(thread.vmExit.reason) && reason === 'restart';
  }
  thread.userspaceExit = { us, reason };
  thread.vmExit = undefined;
  if (reason !== 'KVM_EXIT_IO' && reason !== 'KVM_EXIT_MMIO') return;
  if (thread.pendingWrite !== undefined) increment(costs.io, `${tid} qemu ${thread.pendingWrite}`);
  else thread.readPending = !thread.readCounted;
  thread.pendingWrite = undefined;
}

function onAccess(costs: ReferenceCosts, tid: string, thread: Thread, rest: string): void {
  const pio = /^pio_(read|write) at 0x([0-9a-f]+)/.exec(rest);
  const mmio = /^mmio (\S+) len \d+ gpa 0x([0-9a-f]+)/.exec(rest);
  const kind = pio?.[1] ?? mmio?.[1];
  const address = BigInt(`0x${pio?.[2] ?? mmio?.[2] ?? '0'}`);
  const name = pio ? `0x${address.toString(16)}` : `0x${(address & ~0xfffn).toString(16)}`;
  settleWrite(costs, tid, thread);
  if (kind === 'read') {
    if (!thread.readCounted)
      increment(costs.io, `${tid} ${thread.readPending ? 'qemu' : 'kvm'} ${pio ? 'pio' : 'mmio'} in ${name}`);
    thread.readPending = thread.readCounted = false;
  } else if (kind === 'unsatisfied-read') {
    increment(costs.io, `${tid} qemu mmio in ${name}`);
    thread.readCounted = true;
  } else {
    thread.pendingWrite = `${pio ? 'pio' : 'mmio'} out ${name}`;
  }
}

/** Counts a pending write as handled by KVM, because no userspace exit followed it. */
function settleWrite(costs: ReferenceCosts, tid: string, thread: Thread): void {
  if (thread.pendingWrite !== undefined) increment(costs.io, `${tid} kvm ${thread.pendingWrite}`);
  thread.pendingWrite = undefined;
}

const IDLE = /^(hlt|HLT|KVM_EXIT_HLT)$/;

/** An interrupted VMM that takes more than 100 ms has paused the VM. */
function isPaused(reason: string, us: number): boolean {
  return reason === 'restart' && us > 100_000;
}

function addUserspaceTime(costs: ReferenceCosts, tid: string, thread: Thread, us: number): void {
  const reason = thread.userspaceExit?.reason ?? '?';
  if (thread.halted) addOutsideGuest(costs, tid, 'qemu', 'hlt', us);
  else if (!isPaused(reason, us)) addOutsideGuest(costs, tid, 'qemu', reason, us);
}

function addOutsideGuest(costs: ReferenceCosts, tid: string, layer: string, reason: string, us: number): void {
  const key = `${tid} ${IDLE.test(reason) ? 'idle' : layer}`;
  costs.outsideGuest.set(key, (costs.outsideGuest.get(key) ?? 0) + us);
}

function increment(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
