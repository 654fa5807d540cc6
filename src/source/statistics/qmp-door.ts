import { areMirrored, mirrored } from '../../decode/statistics/mirrored-histograms.js';
import {
  parseCpus,
  parseSchemas,
  parseStats,
  type QemuCpu,
  type StatisticsTarget,
  type TargetSchema,
} from '../../decode/statistics/query-stats.js';
import { AgentError } from '../../system/errors.js';
import type { StatisticsPart } from '../../trace/kvm-statistic.js';
import type { Qmp } from '../qemu/qmp.js';

/** The vCPUs are asked last, because their statistics are compared with our counts of the same moment. */
const TARGETS: readonly StatisticsTarget[] = ['vm', 'vcpu'];

/**
 * KVM's own statistics from the QEMU behind one QMP socket, of version 7.1 or later. It is the only door that also has
 * histograms. It is open under kernel lockdown, and to users who may use the socket.
 */
export class QmpDoor {
  readonly #isWanted: (name: string) => boolean;
  /** The same for all VMs of a host, but each socket is asked: any process may answer. */
  #schemas: ReadonlyMap<StatisticsTarget, TargetSchema> | undefined;
  /** How this QEMU lists the counters of a histogram; undefined until it shows. */
  #isMirrored: boolean | undefined;

  /** @param isWanted tells by name whether a statistic is to be read */
  constructor(isWanted: (name: string) => boolean) {
    this.#isWanted = isWanted;
  }

  /**
   * @param vcpuOf the number of a vCPU
   * @param beforeVcpus called right before the vCPUs are asked, which is the last question
   * @throws AgentError if QEMU does not answer, or has no statistics
   */
  async read(qmp: Qmp, vcpuOf: (cpu: QemuCpu) => number, beforeVcpus = () => {}): Promise<StatisticsPart[]> {
    this.#schemas ??= parseSchemas(await qmp.query('query-stats-schemas', { provider: 'kvm' }), this.#isWanted);
    const cpus = parseCpus(await qmp.query('query-cpus-fast'));
    const parts: StatisticsPart[] = [];
    for (const target of TARGETS) {
      const schema = this.#schemas.get(target);
      if (schema === undefined || schema.size === 0) continue;
      if (target === 'vcpu') beforeVcpus();
      const answer = await qmp.query('query-stats', {
        target,
        providers: [{ provider: 'kvm', names: [...schema.keys()] }],
      });
      for (const { path, values } of parseStats(answer, schema)) {
        const cpu = cpus.get(path);
        if (target === 'vm') parts.push({ key: 'vm', vcpu: '', values });
        else if (cpu !== undefined) parts.push({ key: `vcpu ${cpu.index}`, vcpu: String(vcpuOf(cpu)), values });
      }
    }
    this.#isMirrored ??= areMirrored(parts);
    // Until a QEMU's own order shows, it has that of all QEMUs so far.
    const ordered = this.#isMirrored === false ? parts : parts.map(mirrored);
    if (parts.length === 0) throw new AgentError(`${qmp.path}: has no statistics of KVM`);
    return ordered;
  }
}
