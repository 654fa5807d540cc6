/**
 * Findings: what a VM does too often, what that costs, and what to change (PURE).
 *
 *   web-1: The guest reads the HPET: 12,400/s, mainly page 0xfed00000 (hpet); costs 21 % of a vCPU
 */
import { changesFor } from './changes-for.js';
import { type Load, loadOf } from './load.js';
import type { Changes, Rule } from './rules/rule.js';
import { RULES } from './rules.js';
import type { Workload } from './workload.js';

export interface Finding {
  readonly vm: string;
  readonly rule: Rule;
  readonly load: Load;
  /** Those of the rule's changes that fit the VM. */
  readonly changes: Changes;
  /** Length of the period that the finding is about. */
  readonly seconds: number;
}

/** A finding costs at least this share of a vCPU; where the cost is not known, the rate decides. */
const MIN_COST = 0.01;
/** A finding is about at least this share of the exits of its layer. */
const MIN_SHARE = 0.02;

/**
 * The findings of all VMs, those that cost most first.
 * @param seconds length of the period that the workloads are of
 * @param disabled ids of rules that the operator does not want
 */
export function advise(workloads: readonly Workload[], seconds: number, disabled: readonly string[] = []): Finding[] {
  const rules = RULES.filter(({ id }) => !disabled.includes(id));
  return workloads
    .flatMap((workload) => withoutVague(rules.flatMap((rule) => findingOf(workload, rule, seconds))))
    .sort((a, b) => (b.load.cost ?? 0) - (a.load.cost ?? 0) || b.load.perSecond - a.load.perSecond);
}

/** A rule that names no cause in particular is silent where another one does. */
function withoutVague(findings: readonly Finding[]): readonly Finding[] {
  const clear = findings.filter(({ rule }) => rule.isVague !== true);
  return clear.length > 0 ? clear : findings;
}

function findingOf(workload: Workload, rule: Rule, seconds: number): Finding[] {
  const load = loadOf(workload, rule.matches);
  if (load === undefined || !isTooMuch(load, rule, workload)) return [];
  return [{ vm: workload.vm, rule, load, changes: changesFor(rule.changes, workload.info), seconds }];
}

function isTooMuch(load: Load, { perVcpuSecond, when = {} }: Rule, { exits, isApicvOff }: Workload): boolean {
  const { kind, cost, meanSeconds, p99Seconds, shareOfLayer } = load;
  const decidesByRate = kind === 'time' || when.hasNoCost === true || cost === undefined;
  return (
    (decidesByRate ? load.perVcpuSecond >= perVcpuSecond : cost >= MIN_COST) &&
    shareOfLayer >= (when.minShareOfLayer ?? MIN_SHARE) &&
    isAtLeast(meanSeconds, when.minMeanSeconds) &&
    isAtMost(meanSeconds, when.maxMeanSeconds) &&
    isAtLeast(p99Seconds, when.minP99Seconds) &&
    (when.isApicvOff !== true || isApicvOff) &&
    (when.besides === undefined || exits.some(({ reason, perSecond }) => reason === when.besides && perSecond > 0))
  );
}

/** True if there is no limit; false if there is one, and the value is not known. */
function isAtLeast(value: number | undefined, limit: number | undefined): boolean {
  return limit === undefined || (value !== undefined && value >= limit);
}

function isAtMost(value: number | undefined, limit: number | undefined): boolean {
  return limit === undefined || (value !== undefined && value <= limit);
}
