/**
 * The audit of running VMs (PURE): our counts of the last five minutes against KVM's own, each time that KVM's
 * statistics were read. At such a moment our counts are as old as the statistics, up to a few milliseconds, which
 * matters less the longer the time between two moments is.
 */
import { auditVm, type TracedLayers } from './audit.js';
import { type ExitSums, exitsBetween } from './exit-sums.js';

/** Both counts of one VM at one moment. */
export interface AuditMoment {
  readonly atMs: number;
  /** KVM's statistics by name, all vCPUs together. */
  readonly kvm: ReadonlyMap<string, number>;
  readonly ours: ExitSums;
  /** Changes whenever events are lost. */
  readonly losses: number;
  readonly traced: TracedLayers;
}

/** What became of a check of a VM. Only `compared` has a ratio. */
export const AUDIT_OUTCOMES = ['compared', 'too_short', 'few_events', 'events_lost', 'not_comparable'] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

export interface LiveAuditRow {
  readonly vm: string;
  readonly check: string;
  readonly outcome: AuditOutcome;
  /** Our count by KVM's; NaN unless they were compared. */
  readonly ratio: number;
  /** Why the two can never be compared on this host; '' if they can. */
  readonly obstacle: string;
}

const WINDOW_MS = 300_000;
/** Shorter times are not compared. Moments come every ten seconds. */
const MIN_WINDOW_MS = 55_000;
/** With fewer events, a burst of five that falls between two moments would be a difference of more than 1 %. */
const MIN_EVENTS = 500;

interface AuditedVm {
  /** The life of the VM that the moments belong to. */
  readonly life: string;
  readonly moments: AuditMoment[];
}

export class LiveAudit {
  readonly #vms = new Map<string, AuditedVm>();

  /** @param life identifies the process of the VM: another one has other statistics */
  add(vm: string, life: string, moment: AuditMoment): void {
    let audited = this.#vms.get(vm);
    if (audited === undefined || audited.life !== life || hasRestarted(audited.moments.at(-1), moment)) {
      audited = { life, moments: [] };
      this.#vms.set(vm, audited);
    }
    const { moments } = audited;
    moments.push(moment);
    while (moments[0] !== undefined && moment.atMs - moments[0].atMs > WINDOW_MS) moments.shift();
  }

  /** Forgets all other VMs. */
  keepOnly(vms: ReadonlySet<string>): void {
    for (const vm of this.#vms.keys()) if (!vms.has(vm)) this.#vms.delete(vm);
  }

  rows(): LiveAuditRow[] {
    return [...this.#vms].flatMap(([vm, { moments }]) => {
      const [first, last] = [moments[0], moments.at(-1)];
      return first === undefined || last === undefined ? [] : rowsOf(vm, first, last);
    });
  }
}

function rowsOf(vm: string, first: AuditMoment, last: AuditMoment): LiveAuditRow[] {
  const kvm = new Map(Array.from(last.kvm, ([name, value]) => [name, value - (first.kvm.get(name) ?? Number.NaN)]));
  return auditVm(exitsBetween(first.ours, last.ours), kvm, last.traced).map(({ check, kvm, ours, ratio, obstacle }) => {
    const outcome: AuditOutcome =
      last.atMs - first.atMs < MIN_WINDOW_MS
        ? 'too_short'
        : last.losses !== first.losses
          ? 'events_lost'
          : obstacle !== ''
            ? 'not_comparable'
            : Math.max(kvm, ours) < MIN_EVENTS
              ? 'few_events'
              : 'compared';
    const isCompared = outcome === 'compared';
    return { vm, check, outcome, ratio: isCompared ? ratio : Number.NaN, obstacle };
  });
}

/** True if KVM's statistics or our counts have begun again. */
function hasRestarted(before: AuditMoment | undefined, { kvm, ours }: AuditMoment): boolean {
  if (before === undefined) return false;
  const { kvm: kvmBefore, ours: oursBefore } = before;
  return (
    Array.from(kvmBefore).some(([name, value]) => (kvm.get(name) ?? 0) < value) ||
    ours.ofLayer.kvm < oursBefore.ofLayer.kvm ||
    ours.ofLayer.qemu < oursBefore.ofLayer.qemu
  );
}
