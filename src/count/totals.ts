import type { DeviceRanges, Vocabulary } from '../trace/sink.js';
import type { Counters } from './counters/counters.js';
import type { SourceCounts } from './counters/source-counts.js';
import type { CounterLayout } from './vcpu/counter-layout.js';
import type { Collectors } from './vcpu/vcpu-counts.js';
import type { VmSum } from './vm-sums.js';

/** The state of a ledger at one moment, by ids: input of `takeSnapshot`. It refers to live counters, so use it before the next event. */
export interface Totals {
  readonly vocabulary: Vocabulary;
  readonly layout: CounterLayout;
  readonly collectors: Collectors;
  readonly vms: ReadonlyMap<string, VmSum>;
  /** A live kernel trace has counted exits of all VMs at least for a time: what QEMU counted besides is of other times. */
  readonly kernelCountsAll: boolean;
  readonly hits: Counters;
  readonly qemuEvents: ReadonlyMap<string, Counters>;
  readonly sources: readonly { readonly name: string; readonly counts: SourceCounts }[];
  /** What a VM itself says of its devices, where it was asked. */
  readonly devices: (vm: string) => DeviceRanges | undefined;
  readonly busiest: (
    vm: string,
    sum: VmSum,
  ) => { readonly series: ReadonlyMap<number, number>; readonly rest: Float64Array };
}
