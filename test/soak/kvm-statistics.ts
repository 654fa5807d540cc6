/** KVM's own statistics over QMP: the audit in the course of a soak, and the last figures against QEMU's answer. */
import type { RunningAgent } from '../support/agent/start-agent.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import type { Samples } from '../support/prometheus/samples.js';
import type { Verdict } from './judge.js';
import { scrapeUntil } from './observe.js';

/** The alert's limit. */
const MAX_DIFFERENCE = 0.01;

export class Audit {
  #scrapes = 0;
  #farthest = 1;
  readonly #vm: string;

  constructor(vm: string) {
    this.#vm = vm;
  }

  check(samples: Samples): void {
    const ratios = samples.of('kvm_exit_exporter_audit_ratio', { vm: this.#vm });
    if (ratios.length > 0) this.#scrapes++;
    for (const { value } of ratios) if (Math.abs(value - 1) > Math.abs(this.#farthest - 1)) this.#farthest = value;
  }

  /** None without a ratio: on a kernel that does not trace exits to KVM, and on a machine that is too busy. */
  verdicts(): Verdict[] {
    if (this.#scrapes === 0) return [];
    return [
      {
        criterion: "the counts of the VM that runs all the time agree with KVM's own, in each scrape",
        holds: Math.abs(this.#farthest - 1) <= MAX_DIFFERENCE,
        figures: `${this.#scrapes} scrapes, farthest ratio: ${this.#farthest}`,
      },
    ];
  }
}

/**
 * Stops a VM, so that its statistics stand still, and waits for the agent to read them.
 * @param socket QMP socket that the agent does not use
 */
export async function compareStatistics(agent: RunningAgent, socket: string, vm: string): Promise<Verdict> {
  const qemu = await QmpClient.connect(socket);
  await qemu.execute('stop');
  const { vcpus } = await qemu.statistics();
  qemu.close();
  const own = Number(vcpus.get('0')?.get('exits'));
  // debugfs has no vCPUs.
  const shown = (samples: Samples) => samples.sum('kvm_stat_total', { vm, vcpu: '0', stat: 'exits' });
  const samples = await scrapeUntil(agent, (now) => shown(now) === own);
  return {
    criterion: "KVM's statistics of this VM over QMP are QEMU's own answer",
    holds: shown(samples) === own,
    figures: `${own} exits, ${shown(samples)} shown`,
  };
}
