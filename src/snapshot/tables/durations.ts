import { type DurationSummary, quantileOf, summarize } from '../../count/counters/duration-histogram.js';
import type { LAYER_NOT_KNOWN, Layer } from './layer.js';
import { kept, merged, RowTable, type VmRow } from './row-table.js';

/** Durations of the exits that were paired with the entry that ended them. */
export interface ExitDuration extends VmRow, DurationSummary {
  readonly layer: Layer | typeof LAYER_NOT_KNOWN;
  readonly reason: string;
}

/** How long exits took, by layer and reason. */
export const DURATIONS = new RowTable<ExitDuration>({
  rows: ({ collectors, vms, vocabulary }) => {
    if (!collectors.duration) return [];
    return [...vms].flatMap(([vm, { durations }]) =>
      (['kvm', 'qemu'] as const).flatMap((layer) =>
        durations[layer].flatMap((histogram, reason) =>
          histogram === undefined
            ? []
            : [{ vm, layer, reason: vocabulary.reasons.text(reason), ...summarize(histogram) }],
        ),
      ),
    );
  },
  labels: { layer: kept('layer'), reason: merged('reason') },
  add: addDurations,
  metrics: [
    {
      name: 'kvm_exit_duration_seconds',
      type: 'histogram',
      help:
        'Seconds from an exit to the next entry into the guest, waiting for a host CPU included. layer="kvm": exits that KVM handled ' +
        'itself. layer="qemu": from the return of KVM_RUN to the entry, without the time in KVM before it. ' +
        'Exits of an idle guest are in, under reasons of their own (HLT); exits without a known entry are not ' +
        '(kvm_exit_exporter_unpaired_exits_total).',
      otel: { name: 'kvm.exit.duration', unit: 's' },
      value: (duration) => duration,
    },
  ],
});

function addDurations(a: ExitDuration, b: ExitDuration): ExitDuration {
  const sum = {
    count: a.count + b.count,
    minSeconds: Math.min(a.minSeconds, b.minSeconds),
    maxSeconds: Math.max(a.maxSeconds, b.maxSeconds),
    halfOctaves: sums(a.halfOctaves, b.halfOctaves),
  };
  return {
    ...a,
    ...sum,
    sumSeconds: a.sumSeconds + b.sumSeconds,
    p50Seconds: quantileOf(sum, 0.5),
    p99Seconds: quantileOf(sum, 0.99),
    buckets: sums(a.buckets, b.buckets),
  };
}

function sums(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, index) => value + (b[index] ?? 0));
}
