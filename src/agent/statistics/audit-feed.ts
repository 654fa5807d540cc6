import { AUDITED_STATISTICS } from '../../audit/checks.js';
import { sumExits } from '../../audit/exit-sums.js';
import { LiveAudit, type LiveAuditRow } from '../../audit/live-audit.js';
import type { KernelExits } from '../../count/kernel-exits.js';
import { log } from '../../system/log.js';
import type { StatisticsReading } from '../../trace/kvm-statistic.js';

/** A VM whose statistics have just been read. */
export interface ReadVm {
  readonly label: string;
  /** Identifies the process of the VM. */
  readonly life: string;
  readonly reading: StatisticsReading;
}

/** Different obstacles that are logged. */
const MAX_LOGGED = 100;

/** Audits our counts each time that KVM's own statistics were read. */
export class AuditFeed {
  readonly #exits: KernelExits;
  readonly #drain: () => boolean;
  readonly #now: () => number;
  readonly #audit = new LiveAudit();
  readonly #logged = new Set<string>();

  /** @param drain counts the events that have happened by now; false if it could not count all of them */
  constructor(exits: KernelExits, drain: () => boolean, now = () => performance.now()) {
    this.#exits = exits;
    this.#drain = drain;
    this.#now = now;
  }

  /** Call it right after KVM's statistics of these VMs were read. */
  compare(vms: readonly ReadVm[]): void {
    if (!this.#drain()) return;
    const ours = sumExits(this.#exits.of(new Set(vms.map(({ label }) => label))));
    const common = {
      atMs: this.#now(),
      losses: this.#exits.losses,
      traced: {
        kvm: this.#exits.hasSeen('kvm_exit'),
        qemu: this.#exits.hasSeen('kvm_userspace_exit'),
      },
    };
    for (const { label, life, reading } of vms) {
      const exits = ours.get(label);
      if (exits !== undefined) this.#audit.add(label, life, { ...common, kvm: auditedSums(reading), ours: exits });
    }
  }

  /** Forgets all other VMs. */
  keepOnly(labels: ReadonlySet<string>): void {
    this.#audit.keepOnly(labels);
  }

  rows(): LiveAuditRow[] {
    const rows = this.#audit.rows();
    for (const { check, outcome, obstacle } of rows) {
      const key = `${check} ${obstacle}`;
      if (outcome !== 'not_comparable' || this.#logged.has(key) || this.#logged.size >= MAX_LOGGED) continue;
      this.#logged.add(key);
      log('info', "cannot compare our counts with KVM's own statistics", { check, err: obstacle });
    }
    return rows;
  }
}

/** The statistics that are audited, all vCPUs together. */
function auditedSums({ parts }: StatisticsReading): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { values } of parts)
    for (const [{ name, kind }, value] of values)
      if (kind === 'total' && typeof value === 'number' && AUDITED_STATISTICS.has(name))
        sums.set(name, (sums.get(name) ?? 0) + value);
  return sums;
}
