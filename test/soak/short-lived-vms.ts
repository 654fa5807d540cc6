/**
 * A VM that starts every second, does its exits, and ends by itself: the agent must have counted each of them exactly, by the kernel's
 * trace and by QEMU's own log, before its series go.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { PREFIX } from './observe.js';

const TIMES = 40;
const TICKS = 5;
/** They run for half a second and more. */
const EVERY_MS = 100;
/** All, and the one that ends the guest. */
const EXITS = TIMES * TICKS + 1;
/** On a machine that can't start one each second; they would pile up. */
const MOST_AT_ONCE = 8;

interface Passing {
  readonly guest: RunningGuest;
  /** NaN: it runs. */
  endedMs: number;
}

export class PassingVms {
  started = 0;
  exact = 0;
  /** Over before the agent got round to look whose thread it was: counted without a name, as README.md says. */
  unnamed = 0;
  readonly wrong: string[] = [];
  readonly #folder: string;
  readonly #patienceMs: number;
  readonly #vms = new Set<Passing>();

  /** Logs and QMP sockets are in `folder`. A VM must be counted within `patienceMs` of its end. */
  constructor(folder: string, patienceMs: number) {
    this.#folder = folder;
    this.#patienceMs = patienceMs;
  }

  startOne(): void {
    const running = [...this.#vms].filter(({ endedMs }) => Number.isNaN(endedMs));
    if (running.length >= MOST_AT_ONCE) return;
    const name = `${PREFIX}${String(++this.started).padStart(5, '0')}`;
    const guest = startGuest({
      name,
      steps: [{ bursts: { out: 0x80, times: TIMES, everyMs: EVERY_MS, ticks: TICKS } }],
      extraArgs: tracedArgs(this.#folder, name),
    });
    const passing: Passing = { guest, endedMs: Number.NaN };
    this.#vms.add(passing);
    guest.finished().then(
      () => {
        passing.endedMs = performance.now();
      },
      (error: Error) => this.#done(passing, `${name} did not end as it should: ${error.message}`),
    );
  }

  /** None is left whose counts were not looked at. */
  get areDone(): boolean {
    return this.#vms.size === 0;
  }

  check(samples: Samples): void {
    for (const passing of this.#vms) {
      const { guest, endedMs } = passing;
      if (Number.isNaN(endedMs)) continue;
      const [kernel, log] = countsOf(samples, guest.name);
      if (kernel === EXITS && log === EXITS) {
        this.exact++;
        this.#done(passing);
      } else if (performance.now() - endedMs > this.#patienceMs && kernel === 0 && log === EXITS) {
        this.unnamed++;
        this.#done(passing);
      } else if (performance.now() - endedMs > this.#patienceMs)
        this.#done(passing, `${guest.name}: ${kernel} exits by the kernel, ${log} by its log, and it did ${EXITS}`);
    }
  }

  #done(passing: Passing, wrong?: string): void {
    this.#vms.delete(passing);
    if (wrong !== undefined) this.wrong.push(wrong);
    for (const suffix of ['log', 'sock'])
      rmSync(join(this.#folder, `${passing.guest.name}.${suffix}`), { force: true });
  }
}

/** Exits to userspace by the kernel's trace, and by QEMU's own. */
export function countsOf(samples: Samples, vm: string): [kernel: number, log: number] {
  return [
    samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' }),
    samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' }),
  ];
}

export function tracedArgs(folder: string, name: string): string[] {
  return [
    ...['-trace', 'kvm_run_exit', '-D', join(folder, `${name}.log`), '-msg', 'timestamp=on'],
    ...['-qmp', `unix:${join(folder, `${name}.sock`)},server=on,wait=off`],
  ];
}
