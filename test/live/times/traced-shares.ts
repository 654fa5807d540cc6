/**
 * The time of a vCPU by place, from the kernel's own text of a trace that the test makes, without the agent. The time
 * between two events of the vCPU counts, and sched_switch shows when its thread is off the CPU.
 *
 *   CPU 0/KVM-181  [001] d..1.  21.100000: kvm_entry: vcpu 0 ..
 *   CPU 0/KVM-181  [001] .....  21.100040: kvm_exit: vcpu 0 reason io ..                   40 us in the guest
 *   CPU 0/KVM-181  [001] .....  21.100060: kvm_userspace_exit: reason KVM_EXIT_IO (2)      20 us in KVM
 *   CPU 0/KVM-181  [001] d..2.  21.100070: sched_switch: .. prev_pid=181 .. prev_state=R ==> ..
 *   node-200       [001] d..2.  21.100370: sched_switch: .. next_pid=181 ..               300 us ready
 *   CPU 0/KVM-181  [001] d..1.  21.100400: kvm_entry: vcpu 0 ..                            40 us in QEMU
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TRACEFS, uniqueInstance } from '../../support/agent/start-agent.js';

/** Parts of wall time. */
export type TracedShares = Readonly<Record<'guest' | 'kvm' | 'qemu' | 'idle' | 'ready', number>>;

const EVENTS = ['kvm/kvm_entry', 'kvm/kvm_exit', 'kvm/kvm_userspace_exit', 'sched/sched_switch', 'sched/sched_wakeup'];
/** Each CPU's buffer: some 200,000 events, which an emulated host takes a while to print. */
const BUFFER_KB = 12_288;

/** A tracing instance whose times are those of {@link monotonicSeconds}. */
export class TestTrace {
  readonly #folder = join(TRACEFS, 'instances', uniqueInstance());

  /** Enables the events, and records nothing yet. Call it before guests run: see svm-times.ts. */
  constructor() {
    mkdirSync(this.#folder);
    this.#write('tracing_on', '0');
    this.#write('trace_clock', 'mono');
    this.#write('buffer_size_kb', String(BUFFER_KB));
    for (const event of EVENTS) this.#write(`events/${event}/enable`, '1');
  }

  start(): void {
    this.#write('trace', '');
    this.#write('tracing_on', '1');
  }

  stop(): void {
    this.#write('tracing_on', '0');
  }

  /** Call it after {@link stop}. @throws if the buffers did not hold all of the time */
  sharesOf(tid: number, fromSeconds: number, toSeconds: number): TracedShares {
    return sharesOf(readFileSync(join(this.#folder, 'trace'), 'utf8'), tid, fromSeconds, toSeconds);
  }

  /** Disables the events. Call it when no guest runs. */
  close(): void {
    for (const event of EVENTS) this.#write(`events/${event}/enable`, '0');
    rmdirSync(this.#folder);
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.#folder, file), text);
  }
}

export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

const LINE = /^.*-(\d+)\s+\[\d+\]\s+\S+\s+(\d+\.\d+): (kvm_entry|kvm_exit|kvm_userspace_exit|sched_\w+): (.*)$/gm;

/** @param text of the file `trace`, whose lines are in the order of time */
function sharesOf(text: string, tid: number, fromSeconds: number, toSeconds: number): TracedShares {
  const seconds = { guest: 0, kvm: 0, qemu: 0, idle: 0, ready: 0 };
  let state: 'guest' | 'kvm' | 'qemu' | 'idle' | undefined;
  let offCpu: 'ready' | 'asleep' | undefined;
  let since = fromSeconds;
  const countTo = (time: number) => {
    const now = Math.min(Math.max(time, fromSeconds), toSeconds);
    const where = offCpu === 'ready' ? 'ready' : state;
    if (where !== undefined) seconds[where] += now - since;
    else assert.ok(now === since, `the trace begins only ${now - since} s after the first scrape`);
    since = now;
  };
  for (const [, thread, time, event = '', rest = ''] of text.matchAll(LINE)) {
    const isSwitchTo = event === 'sched_switch' && rest.includes(` next_pid=${tid} `);
    const isWakeup = event === 'sched_wakeup' && rest.includes(` pid=${tid} `);
    if (Number(thread) !== tid && !isSwitchTo && !isWakeup) continue;
    countTo(Number(time));
    if (isSwitchTo) offCpu = undefined;
    else if (isWakeup) offCpu = offCpu === undefined ? undefined : 'ready';
    else if (event === 'sched_switch') offCpu = rest.includes(' prev_state=R') ? 'ready' : 'asleep';
    else if (event === 'kvm_entry') state = 'guest';
    else if (event === 'kvm_exit') state = rest.includes('reason hlt ') ? 'idle' : 'kvm';
    else if (event === 'kvm_userspace_exit') state = 'qemu';
  }
  countTo(toSeconds);
  const share = (name: keyof TracedShares) => seconds[name] / (toSeconds - fromSeconds);
  return { guest: share('guest'), kvm: share('kvm'), qemu: share('qemu'), idle: share('idle'), ready: share('ready') };
}
