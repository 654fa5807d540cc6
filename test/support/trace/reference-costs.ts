/**
 * What a text recording says of durations, causes and I/O, worked out the slow and plain way: a regular expression per line, maps of strings.
 * Knows nothing of src/, so that both can't be wrong in the same way.
 *
 *   CPU 0/KVM-186     (    179) [001] d..1.     5.926225: kvm_entry: vcpu 0, rip 0xfff0
 */

export interface ReferenceCosts {
  /** `tid layer reason` -> count, total, least and longest in microseconds. */
  readonly durations: Map<string, { count: number; totalUs: number; minUs: number; maxUs: number }>;
  /** `tid layer` -> microseconds away from the guest; layer `idle` for HLT. */
  readonly away: Map<string, number>;
  /** `tid reason userspace_reason`. */
  readonly causes: Map<string, number>;
  /** `tid layer bus direction address`, MMIO by page. */
  readonly io: Map<string, number>;
}

const LINE =
  /-(\d+) +(?:\( *\d+\) )?\[\d+\] \S+ +(\d+)\.(\d{6}): (kvm_exit|kvm_entry|kvm_userspace_exit|kvm_pio|kvm_mmio): (.*)$/;

interface Thread {
  exit?: { us: number; reason: string } | undefined;
  user?: { us: number; reason: string } | undefined;
  /** Told before its way is known. */
  announced?: string | undefined;
  answerDue?: boolean;
  answerCounted?: boolean;
}

export function referenceCosts(text: string): ReferenceCosts {
  const costs: ReferenceCosts = { durations: new Map(), away: new Map(), causes: new Map(), io: new Map() };
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
  for (const [tid, thread] of threads) keep(costs, tid, thread);
  return costs;
}

function onExit(costs: ReferenceCosts, tid: string, thread: Thread, us: number, reason: string): void {
  keep(costs, tid, thread);
  thread.answerDue = thread.answerCounted = false;
  thread.exit = { us, reason };
  thread.user = undefined;
}

function onEntry(costs: ReferenceCosts, tid: string, thread: Thread, us: number): void {
  const from = thread.user ?? thread.exit;
  const layer = thread.user ? 'qemu' : 'kvm';
  if (from !== undefined) {
    const key = `${tid} ${layer} ${from.reason}`;
    const own = costs.durations.get(key) ?? { count: 0, totalUs: 0, minUs: Number.POSITIVE_INFINITY, maxUs: 0 };
    const took = us - from.us;
    costs.durations.set(key, {
      count: own.count + 1,
      totalUs: own.totalUs + took,
      minUs: Math.min(own.minUs, took),
      maxUs: Math.max(own.maxUs, took),
    });
    spend(costs, tid, layer, from.reason, took);
  }
  keep(costs, tid, thread);
  thread.answerDue = thread.answerCounted = false;
  thread.exit = thread.user = undefined;
}

function onUserspaceExit(costs: ReferenceCosts, tid: string, thread: Thread, us: number, reason: string): void {
  bump(costs.causes, `${tid} ${thread.exit?.reason ?? 'none'} ${reason}`);
  if (thread.user) spend(costs, tid, 'qemu', thread.user.reason, us - thread.user.us);
  else if (thread.exit) spend(costs, tid, 'kvm', thread.exit.reason, us - thread.exit.us);
  thread.user = { us, reason };
  thread.exit = undefined;
  if (reason !== 'KVM_EXIT_IO' && reason !== 'KVM_EXIT_MMIO') return;
  if (thread.announced !== undefined) bump(costs.io, `${tid} qemu ${thread.announced}`);
  else thread.answerDue = !thread.answerCounted;
  thread.announced = undefined;
}

function onAccess(costs: ReferenceCosts, tid: string, thread: Thread, rest: string): void {
  const pio = /^pio_(read|write) at 0x([0-9a-f]+)/.exec(rest);
  const mmio = /^mmio (\S+) len \d+ gpa 0x([0-9a-f]+)/.exec(rest);
  const kind = pio?.[1] ?? mmio?.[1];
  const address = BigInt(`0x${pio?.[2] ?? mmio?.[2] ?? '0'}`);
  const name = pio ? `0x${address.toString(16)}` : `0x${(address & ~0xfffn).toString(16)}`;
  keep(costs, tid, thread);
  if (kind === 'read') {
    if (!thread.answerCounted)
      bump(costs.io, `${tid} ${thread.answerDue ? 'qemu' : 'kvm'} ${pio ? 'pio' : 'mmio'} in ${name}`);
    thread.answerDue = thread.answerCounted = false;
  } else if (kind === 'unsatisfied-read') {
    bump(costs.io, `${tid} qemu mmio in ${name}`);
    thread.answerCounted = true;
  } else {
    thread.announced = `${pio ? 'pio' : 'mmio'} out ${name}`;
  }
}

/** What was announced and did not go to userspace stayed in the kernel. */
function keep(costs: ReferenceCosts, tid: string, thread: Thread): void {
  if (thread.announced !== undefined) bump(costs.io, `${tid} kvm ${thread.announced}`);
  thread.announced = undefined;
}

function spend(costs: ReferenceCosts, tid: string, layer: string, reason: string, us: number): void {
  const key = `${tid} ${/^(hlt|HLT|KVM_EXIT_HLT)$/.test(reason) ? 'idle' : layer}`;
  costs.away.set(key, (costs.away.get(key) ?? 0) + us);
}

function bump(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
