import type { PerfAttr } from './perf-attr.js';

interface LatestRecord {
  readonly attr: PerfAttr;
  readonly bytes: Uint8Array;
}

/**
 * Finds the second record of one hit, in a perf.data with the same tracepoint twice (`-e 'kvm:*' -e kvm:kvm_exit`). The
 * kernel writes both records one after the other, and they are equal. Events of different cgroups or filters (`-G`,
 * `--filter`) are the same tracepoint, too, but have no hit in common.
 */
export class RepeatedRecords {
  readonly #latest = new Map<number, LatestRecord>();

  /** True if `bytes[start, end)` repeats the record before it of the same tracepoint. */
  has(attr: PerfAttr, bytes: Uint8Array, start: number, end: number): boolean {
    const latest = this.#latest.get(attr.eventId);
    if (latest !== undefined && latest.attr !== attr && isEqual(latest.bytes, bytes, start, end)) return true;
    this.#latest.set(attr.eventId, { attr, bytes: bytes.slice(start, end) });
    return false;
  }
}

function isEqual(record: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (record.length !== end - start) return false;
  for (let i = 0; i < record.length; i++) if (record[i] !== bytes[start + i]) return false;
  return true;
}
