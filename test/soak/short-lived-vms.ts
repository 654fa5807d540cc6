/**
 * VMs that each run for about half a second, do a known number of exits and end by themselves. The agent must have
 * counted each of them exactly before its series are removed, both from the kernel's trace and from QEMU's log.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { delayMs } from '../support/guest/delay.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { VM_PREFIX } from './observe.js';

const WRITES_PER_TICK = 40;
const TICKS = 5;
const TICK_MS = 100;
/** Exits of a VM; the last one ends the guest. */
export const EXITS = WRITES_PER_TICK * TICKS + 1;
/** VMs running at the same time. A slow machine would otherwise start more than end. */
const MAX_RUNNING = 8;
/** An agent that was kept from running for longer while a VM ran may have seen it too late. */
const MAX_DELAY_MS = 100;

interface ShortLivedVm {
  readonly guest: RunningGuest;
  /** Delay of the agent before the VM started, and while it ran; NaN while it runs. */
  readonly delayBeforeMs: number;
  delayMs: number;
  /** `performance.now()` at its end; NaN while it runs. */
  endedMs: number;
}

export class ShortLivedVms {
  started = 0;
  /** Names of the VMs whose counts were exact. */
  readonly exact: string[] = [];
  /** VMs that had ended before the agent looked up their threads, so that their exits are counted without a name. */
  unnamed = 0;
  /** Those of them whose life the agent spent waiting for a CPU. */
  delayed = 0;
  /** A message for each VM whose counts were wrong. */
  readonly wrong: string[] = [];
  readonly #folder: string;
  readonly #deadlineMs: number;
  readonly #agentPid: number | undefined;
  readonly #unchecked = new Set<ShortLivedVm>();

  /** `folder` is for logs and QMP sockets. A VM must be counted within `deadlineMs` of its end. */
  constructor(folder: string, deadlineMs: number, agentPid: number | undefined) {
    this.#folder = folder;
    this.#deadlineMs = deadlineMs;
    this.#agentPid = agentPid;
  }

  startOne(): void {
    const running = [...this.#unchecked].filter(({ endedMs }) => Number.isNaN(endedMs));
    if (running.length >= MAX_RUNNING) return;
    const name = `${VM_PREFIX}${String(++this.started).padStart(5, '0')}`;
    const guest = startGuest({
      name,
      steps: [{ bursts: { out: 0x80, times: WRITES_PER_TICK, everyMs: TICK_MS, ticks: TICKS } }],
      extraArgs: traceArgs(this.#folder, name),
    });
    const vm: ShortLivedVm = {
      guest,
      delayBeforeMs: delayMs(this.#agentPid),
      delayMs: Number.NaN,
      endedMs: Number.NaN,
    };
    this.#unchecked.add(vm);
    guest.finished().then(
      () => {
        vm.endedMs = performance.now();
        vm.delayMs = delayMs(this.#agentPid) - vm.delayBeforeMs;
      },
      (error: Error) => this.#finish(vm, `${name} did not end as expected: ${error.message}`),
    );
  }

  /** True once all VMs have ended and their counts were checked. */
  get areAllChecked(): boolean {
    return this.#unchecked.size === 0;
  }

  /** Checks the counts of the VMs that have ended. */
  check(samples: Samples): void {
    for (const vm of this.#unchecked) {
      const { guest, endedMs } = vm;
      if (Number.isNaN(endedMs)) continue;
      const [kernel, log] = countsOf(samples, guest.name);
      if (kernel === EXITS && log === EXITS) {
        this.exact.push(guest.name);
        this.#finish(vm);
      } else if (performance.now() - endedMs > this.#deadlineMs && kernel === 0 && log === EXITS) {
        this.unnamed++;
        if (vm.delayMs > MAX_DELAY_MS) this.delayed++;
        this.#finish(vm);
      } else if (performance.now() - endedMs > this.#deadlineMs)
        this.#finish(
          vm,
          `${guest.name} did ${EXITS} exits; counted: ${kernel} in the kernel's trace, ${log} in its log`,
        );
    }
  }

  #finish(vm: ShortLivedVm, wrong?: string): void {
    this.#unchecked.delete(vm);
    if (wrong !== undefined) this.wrong.push(wrong);
    for (const suffix of ['log', 'sock']) rmSync(join(this.#folder, `${vm.guest.name}.${suffix}`), { force: true });
  }
}

/** Port I/O exits of a VM in the kernel's trace, and userspace exits in QEMU's log. */
export function countsOf(samples: Samples, vm: string): [kernel: number, log: number] {
  return [
    samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' }),
    samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' }),
  ];
}

/** QEMU's arguments for a log of its userspace exits, and for a QMP socket. */
export function traceArgs(folder: string, name: string): string[] {
  return [
    ...['-trace', 'kvm_run_exit', '-D', join(folder, `${name}.log`), '-msg', 'timestamp=on'],
    ...['-qmp', `unix:${join(folder, `${name}.sock`)},server=on,wait=off`],
  ];
}
