import type { LastingFinding } from '../../../src/advice/lasting-findings.js';
import { RULES } from '../../../src/advice/rules.js';

/** A finding about a VM. */
export function findingOf(vm: string): LastingFinding {
  const [rule] = RULES;
  if (rule === undefined) throw new Error('no rules');
  const load = {
    kind: 'exits',
    perSecond: 1000,
    perVcpuSecond: 1000,
    cost: 0.1,
    meanSeconds: 0.0001,
    p99Seconds: 0.001,
    shareOfLayer: 1,
    mainly: 'port 0x608',
  } as const;
  return { vm, rule, load, changes: rule.changes, seconds: 60, lastedSeconds: 300 };
}
