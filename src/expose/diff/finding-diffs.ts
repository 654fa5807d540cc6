import { findingsOf } from '../report/findings.js';
import type { Recorded } from '../report/recorded.js';
import type { Pair } from './pair.js';

/** A finding that one of two recordings has, or both. */
export interface FindingDiff {
  readonly vm: string;
  readonly vmBefore: string;
  /** Name of its page in docs/advice. */
  readonly advice: string;
  readonly state: 'new' | 'gone' | 'both';
  /** What it costs, in vCPUs; undefined where there is no such finding, or no duration. */
  readonly cost: Pair;
}

/**
 * The findings of the VMs of both recordings: those that went away first, then those that stayed, then new ones. None
 * if a recording has no times.
 */
export function findingDiffs(
  vms: readonly { readonly vm: string; readonly vmBefore: string }[],
  before: Recorded,
  after: Recorded,
): FindingDiff[] {
  const [findingsBefore, findingsAfter] = [findingsOf(before), findingsOf(after)];
  if (findingsBefore === undefined || findingsAfter === undefined) return [];
  const diffs = vms.flatMap(({ vm, vmBefore }) => {
    const [old, now] = [
      findingsBefore.filter((finding) => finding.vm === vmBefore),
      findingsAfter.filter((finding) => finding.vm === vm),
    ];
    const ids = new Set([...old, ...now].map(({ rule }) => rule.id));
    return [...ids].map((advice): FindingDiff => {
      const was = old.find(({ rule }) => rule.id === advice);
      const is = now.find(({ rule }) => rule.id === advice);
      const state = is === undefined ? 'gone' : was === undefined ? 'new' : 'both';
      return { vm, vmBefore, advice, state, cost: { before: was?.load.cost, after: is?.load.cost } };
    });
  });
  return diffs.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
}

const ORDER: readonly FindingDiff['state'][] = ['gone', 'both', 'new'];
