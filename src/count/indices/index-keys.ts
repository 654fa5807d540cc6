import type { IndexKind } from '../../trace/sink.js';
import { KINDS, kindOf, MAX_KEY } from '../counters/key-table.js';

/** Indices that are counted separately for each vCPU: several times as many as a VM has series. */
export const MAX_INDICES = 256;

/** Indices from here on have one key for each kind: theirs would not be exact. A guest may pass 64 bits. */
const MAX_INDEX = MAX_KEY / KINDS;

/** Kind and index in one number, so that a look-up allocates nothing. */
export function indexKey(kind: IndexKind, index: number): number {
  return Math.min(index, MAX_INDEX) * KINDS + kind;
}

export function indexOfKey(key: number): number {
  return Math.floor(key / KINDS);
}

export function indexKindOf(key: number): IndexKind {
  return kindOf(key) as IndexKind;
}
