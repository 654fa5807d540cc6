import { AUDITED_STATISTICS } from '../../audit/checks.js';
import { sumExits } from '../../audit/exit-sums.js';
import { LiveAudit, type LiveAuditRow, type OwnCounts } from '../../audit/live-audit.js';
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

/** Our counts before a reading, by label of the VM. Those of a VM without events are missing. */
export type CountsBefore = ReadonlyMap<string, OwnCounts>;

/** Different obstacles that are logged. */
const MAX_LOGGED = 100;
/** Counts that are older are brought up to date before a reading. A drain asks every CPU, and VMs are read in turn. */
const MAX_AGE_MS = 5;

export interface AuditFeedOptions {
  /** True if VM exits are counted in windows only. */
  readonly isSampled?: boolean;
  readonly now?: () => number;
}

const clock = () => performance.now();

/** Audits our counts each time that KVM's own statistics were read. */
export class AuditFeed {
  readonly #exits: KernelExits;
  readonly #drain: () => boolean;
  readonly #now: () => number;
  readonly #audit: LiveAudit;
  readonly #logged = new Set<string>();
  #drainedMs = Number.NEGATIVE_INFINITY;

  /** @param drain counts the events that have happened by now; false if it could not count all of them */
  constructor(exits: KernelExits, drain: () => boolean, { isSampled = false, now = clock }: AuditFeedOptions = {}) {
    this.#exits = exits;
    this.#drain = drain;
    this.#now = now;
    this.#audit = new LiveAudit(isSampled);
  }

  /** Call it right before KVM's statistics of the VMs with these labels are read. */
  before(labels: ReadonlySet<string>): CountsBefore {
    // What is left undone makes a comparison less certain, not wrong.
    if (this.#now() - this.#drainedMs > MAX_AGE_MS) this.#isDrained();
    return this.#counts(labels);
  }

  /** Call it right after KVM's statistics of these VMs were read. */
  compare(vms: readonly ReadVm[], countsBefore: CountsBefore): void {
    if (!this.#isDrained()) return;
    const after = this.#counts(new Set(vms.map(({ label }) => label)));
    const atMs = this.#now();
    const { traced } = this.#exits;
    for (const { label, life, reading } of vms) {
      const [own, ownBefore] = [after.get(label), countsBefore.get(label)];
      if (own === undefined || ownBefore === undefined) continue;
      const moment = { atMs, kvm: auditedSums(reading), before: ownBefore, after: own, traced };
      this.#audit.add(label, `${life} ${partsOf(reading)}`, moment);
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

  #isDrained(): boolean {
    const isDrained = this.#drain();
    this.#drainedMs = this.#now();
    return isDrained;
  }

  #counts(labels: ReadonlySet<string>): Map<string, OwnCounts> {
    const { losses } = this.#exits;
    return new Map(Array.from(sumExits(this.#exits.of(labels)), ([label, exits]) => [label, { exits, losses }]));
  }
}

/**
 * Identifies the door and the parts of a reading. Other parts have another sum: QEMU does not show a vCPU that was
 * taken out, and a process may replace its VM by a new one.
 */
function partsOf({ door, parts }: StatisticsReading): string {
  return [door, ...parts.map(({ key }) => key)].join();
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
