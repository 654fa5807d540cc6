/**
 * The audit of running VMs (PURE): our counts of the last five minutes against KVM's own, each time that KVM's
 * statistics were read. Reading them takes time, in which exits happen, so our counts are taken before and after:
 *
 *   exits           before     KVM   after
 *   first moment     1,000   1,010   1,040
 *   last moment     61,000  61,010  61,030
 *
 * KVM counted 60,000 between the two; ours are at least 61,000 - 1,040 and at most 61,030 - 1,000. KVM's number lies
 * between these, so the ratio is 1, and its uncertainty 70 / 60,000.
 */
import { auditVm, type TracedLayers } from './audit.js';
import { AUDIT_CHECKS } from './checks.js';
import { type ExitSums, exitsBetween } from './exit-sums.js';

/** What we had counted of a VM at one moment. */
export interface OwnCounts {
  readonly exits: ExitSums;
  /** Changes whenever events are lost. */
  readonly losses: number;
}

/** Both counts of one VM. */
export interface AuditMoment {
  readonly atMs: number;
  /** KVM's statistics by name, all vCPUs together. */
  readonly kvm: ReadonlyMap<string, number>;
  /** Our counts before and after KVM's statistics were read. */
  readonly before: OwnCounts;
  readonly after: OwnCounts;
  readonly traced: TracedLayers;
}

/** What became of a check of a VM. Only `compared` has a ratio. `sampled`: our counts are of windows only. */
export const AUDIT_OUTCOMES = [
  'compared',
  'sampled',
  'too_short',
  'few_events',
  'uncertain',
  'events_lost',
  'not_comparable',
] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

export interface LiveAuditRow {
  readonly vm: string;
  readonly check: string;
  readonly outcome: AuditOutcome;
  /** Our count by KVM's; 1 if KVM's is one that ours can be. NaN unless they were compared. */
  readonly ratio: number;
  /** The most that we counted less the least, as a part of KVM's count: a smaller difference does not show. */
  readonly uncertainty: number;
  /** Why the two can never be compared on this host; '' if they can. */
  readonly obstacle: string;
}

const WINDOW_MS = 300_000;
/** Shorter times are not compared. Moments come every ten seconds. */
const MIN_WINDOW_MS = 55_000;
/** With fewer events, the one exit of each vCPU that KVM has counted and not traced yet could be more than 1 %. */
const MIN_EVENTS = 500;
const MAX_UNCERTAINTY = 0.01;

interface AuditedVm {
  /** What the statistics of the moments belong to. */
  readonly life: string;
  readonly moments: AuditMoment[];
}

export class LiveAudit {
  readonly #vms = new Map<string, AuditedVm>();
  readonly #isSampled: boolean;

  /** @param isSampled true if exits of layer kvm are counted in windows only */
  constructor(isSampled = false) {
    this.#isSampled = isSampled;
  }

  /** @param life identifies the process of the VM and its statistics: those of another life are not compared with it */
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
      return first === undefined || last === undefined ? [] : rowsOf(vm, first, last, this.#isSampled);
    });
  }
}

/** The checks of exits that are not counted outside of windows. */
const SAMPLED_CHECKS = new Set(AUDIT_CHECKS.flatMap(({ check, layer }) => (layer === 'kvm' ? [check] : [])));

function rowsOf(vm: string, first: AuditMoment, last: AuditMoment, isSampled: boolean): LiveAuditRow[] {
  const kvm = new Map(Array.from(last.kvm, ([name, value]) => [name, value - (first.kvm.get(name) ?? Number.NaN)]));
  const most = auditVm(exitsBetween(first.before.exits, last.after.exits), kvm, last.traced);
  return auditVm(exitsBetween(first.after.exits, last.before.exits), kvm, last.traced).map((least, index) => {
    const { check, kvm, obstacle } = least;
    const upper = most[index]?.ours ?? Number.NaN;
    const uncertainty = (upper - Math.max(0, least.ours)) / kvm;
    const ratio = kvm < least.ours ? least.ours / kvm : kvm > upper ? upper / kvm : 1;
    const obstacles: readonly (readonly [applies: boolean, outcome: AuditOutcome])[] = [
      [isSampled && SAMPLED_CHECKS.has(check), 'sampled'],
      [last.atMs - first.atMs < MIN_WINDOW_MS, 'too_short'],
      [last.after.losses !== first.before.losses, 'events_lost'],
      [obstacle !== '', 'not_comparable'],
      [Math.max(kvm, least.ours) < MIN_EVENTS, 'few_events'],
      [ratio === 1 && uncertainty > MAX_UNCERTAINTY, 'uncertain'],
    ];
    const outcome = obstacles.find(([applies]) => applies)?.[1] ?? 'compared';
    const isCompared = outcome === 'compared';
    return {
      vm,
      check,
      outcome,
      ratio: isCompared ? ratio : Number.NaN,
      uncertainty: isCompared ? uncertainty : Number.NaN,
      obstacle,
    };
  });
}

/** True if KVM's statistics or our counts have begun again. */
function hasRestarted(last: AuditMoment | undefined, { kvm, before }: AuditMoment): boolean {
  if (last === undefined) return false;
  const [{ kvm: exits, qemu }, now] = [last.after.exits.ofLayer, before.exits.ofLayer];
  return (
    Array.from(last.kvm).some(([name, value]) => (kvm.get(name) ?? 0) < value) || now.kvm < exits || now.qemu < qemu
  );
}
