import type { DeviceRanges } from '../trace/device-ranges.js';
import type { Vocabulary } from '../trace/sink.js';
import type { KeyCounts } from './busiest-keys.js';
import type { Counters } from './counters/counters.js';
import type { SourceCounts } from './counters/source-counts.js';
import type { SamplingState } from './sampling/sampled-totals.js';
import type { StatisticTotals } from './statistics/statistic-counts.js';
import type { VmTotals } from './totals/vm-totals.js';
import type { CounterLayout } from './vcpu/counter-layout.js';
import type { Collectors } from './vcpu/vcpu-counts.js';

/** What a ledger has counted so far. It refers to live counters: read it before the next event is counted. */
export interface LedgerTotals {
  readonly vocabulary: Vocabulary;
  readonly layout: CounterLayout;
  readonly collectors: Collectors;
  /** Label of the VM -> what was counted for it; under '' what threads of no known VM did. */
  readonly vms: ReadonlyMap<string, VmTotals>;
  /**
   * True if a live kernel trace has counted the exits of all VMs for at least part of the time. QEMU's own counts of
   * exits then belong to the rest of the time.
   */
  readonly kernelCountsAll: boolean;
  /** Hits by id of the tracepoint. */
  readonly tracepointHits: Counters;
  /** Label of the VM -> QEMU's events by name. */
  readonly qemuEvents: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** KVM's own statistics. */
  readonly statistics: StatisticTotals;
  /** Undefined if nothing is sampled. */
  readonly sampling: SamplingState | undefined;
  readonly sources: readonly { readonly name: string; readonly counts: SourceCounts }[];
  /** Address ranges of the VM's devices; undefined if the VM was not asked for them. */
  readonly devicesOf: (vm: string) => DeviceRanges | undefined;
  /** Chooses the addresses that get series of their own; call it once per snapshot. */
  readonly busiestKeys: (vm: string, totals: VmTotals) => KeyCounts;
  /** Chooses the MSRs, CPUID leaves, hypercalls ... that get series of their own; the same ones for each caller. */
  readonly busiestIndices: (vm: string, totals: VmTotals) => KeyCounts;
}
