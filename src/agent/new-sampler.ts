import type { Ledger } from '../count/ledger.js';
import type { Inventory } from '../vm/inventory.js';
import { labelsStartedSince } from '../vm/tables/vm.js';
import { vcpuThreadsOf } from './attribution.js';
import type { KernelFeed } from './kernel-feed.js';
import type { AgentOptions } from './options.js';
import { VmFocus } from './sampling/vm-focus.js';
import { WindowSampler } from './sampling/window-sampler.js';

/** What a sampler reads and switches. */
export interface Sampled {
  readonly kernel: KernelFeed;
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  /** Called when sampled events are about to be switched: from now on, drains may have to be more frequent. */
  readonly onSwitch: () => void;
  /** Counts the events that have happened by now. Returns false if some were left. */
  readonly drain: () => boolean;
  /** Reads KVM's own statistics of all VMs. */
  readonly readStatistics: () => Promise<void>;
}

/** Returns the sampler that the options ask for, with the VMs in focus; undefined if all events stay on. */
export function newSampler(
  { kernel: isTraced, sampling: plan, focus }: Pick<AgentOptions, 'kernel' | 'sampling' | 'focus'>,
  { kernel, ledger, inventory, onSwitch, drain, readStatistics }: Sampled,
): WindowSampler | undefined {
  if (!isTraced || plan === undefined) return undefined;
  const shared = {
    ledger: ledger.sampling,
    startedWithin: (ms: number) => labelsStartedSince(Date.now() - ms, inventory.vms()),
  };
  const vmFocus =
    focus &&
    new VmFocus({
      ...focus,
      ...shared,
      threads: () => vcpuThreadsOf(inventory, ledger),
      sources: { trace: () => kernel.focus, drain: () => void drain(), readStatistics },
    });
  return new WindowSampler({
    ...shared,
    plan,
    sources: {
      sample: (on) => {
        const isDone = kernel.sample(on);
        onSwitch();
        return isDone;
      },
      isSampling: () => kernel.isSampling,
      drain,
      events: () => kernel.sampledEvents,
      readStatistics,
    },
    focus: vmFocus,
  });
}
