import type { Finding } from './advise.js';
import type { Changes } from './rules/rule.js';

/** A finding as JSON and CSV have it. */
export interface FindingData {
  readonly vm: string;
  /** Id of the rule, and name of its page in docs/advice. */
  readonly advice: string;
  readonly severity: 'warning' | 'info';
  readonly confidence: 'high' | 'medium' | 'low';
  readonly title: string;
  readonly per_second: number;
  /** What was seen most of. */
  readonly mainly: string;
  /** Seconds per second: 1 is one whole vCPU; null if no duration is known. */
  readonly cost: number | null;
  readonly is_boot: boolean;
  readonly cause: string;
  /** What to change, by who can change it. */
  readonly changes: Changes;
}

export function findingData({ vm, rule, load, changes }: Finding): FindingData {
  return {
    vm,
    advice: rule.id,
    severity: rule.severity,
    confidence: rule.confidence,
    title: rule.title,
    per_second: load.perSecond,
    mainly: load.mainly,
    cost: load.cost ?? null,
    is_boot: rule.isBoot === true,
    cause: rule.cause,
    changes,
  };
}
