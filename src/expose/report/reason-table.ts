import type { Layer } from '../../snapshot/tables/layer.js';
import type { VmRow } from '../../snapshot/tables/row-table.js';
import type { Ranking } from './ranking.js';
import { perSecond, type Recorded } from './recorded.js';
import { amount, compareText, known, moreRows, percent, rate, textTable, vmCell } from './text-table.js';

export interface ReasonCount extends VmRow {
  readonly layer: Layer;
  readonly reason: string;
  readonly count: number;
  /** Part of the VM's exits in the layer. */
  readonly share: number;
}

/**
 * The reasons of each VM, the most frequent ones first.
 *
 *   VM    layer  reason       exits  per s  share of layer
 *   vm-a  qemu   KVM_EXIT_IO  2,480    221          99.9 %
 */
export function reasonTable(recorded: Recorded, ranking: Ranking): string {
  const { shown, hidden } = ranking.select(
    reasonCounts(recorded),
    // What reached QEMU first: it costs most.
    (a, b) => compareText(b.layer, a.layer) || b.count - a.count,
    ({ layer }) => layer,
  );
  const table = textTable(
    ['VM', 'layer', 'reason', 'exits', 'per s', 'share of layer'],
    shown.map(({ vm, layer, reason, count, share }) => [
      vmCell(vm),
      layer,
      reason,
      amount(count),
      known(perSecond(count, recorded.time), rate),
      percent(share),
    ]),
    3,
  );
  return `${table}${moreRows(hidden)}`;
}

/** Exits by VM, layer and reason. */
export function reasonCounts({ snapshot }: Recorded): ReasonCount[] {
  const reasons = new Map<string, { vm: string; layer: Layer; reason: string; count: number }>();
  const layers = new Map<string, number>();
  const layerKey = ({ vm, layer }: { vm: string; layer: Layer }) => `${layer} ${vm}`;
  for (const exit of snapshot.exits) {
    const { vm, layer, reason, count } = exit;
    const key = [vm, layer, reason].join('\0');
    const sum = reasons.get(key) ?? { vm, layer, reason, count: 0 };
    sum.count += count;
    reasons.set(key, sum);
    layers.set(layerKey(exit), (layers.get(layerKey(exit)) ?? 0) + count);
  }
  return Array.from(reasons.values(), (sum) => ({ ...sum, share: sum.count / (layers.get(layerKey(sum)) ?? 0) }));
}
