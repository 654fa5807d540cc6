import type { Collectors } from '../count/vcpu/vcpu-counts.js';
import type { KernelTraceOptions } from '../source/tracefs/kernel-trace.js';
import type { QemuFeedOptions } from './qemu-feed.js';
import type { AutoFocus } from './sampling/auto-focus.js';
import type { SamplingPlan } from './sampling/sampling-plan.js';
import type { StatisticsOptions } from './statistics/statistics-feed.js';
import type { VmInfoOptions } from './vm-infos.js';

export interface FocusOptions {
  /** True for the labels of these VMs. */
  readonly isWanted: (label: string) => boolean;
  /** Chooses more VMs. */
  readonly auto: AutoFocus | undefined;
}

export interface AgentOptions {
  /** Mount point of /proc. */
  readonly procfs: string;
  /** Mount point of tracefs; if undefined, it is searched for. */
  readonly tracefs: string | undefined;
  /** Name of the tracing instance. */
  readonly instance: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** Patterns of tracepoints: `system:event`, `kvm:*`. Undefined: those that the collectors need. */
  readonly events: readonly string[] | undefined;
  readonly collectors: Collectors;
  /** Number of addresses per VM that have series of their own. */
  readonly ioAddresses: number;
  readonly reader: KernelTraceOptions['reader'];
  /** False: the kernel's trace is not read. */
  readonly kernel: boolean;
  /** Copies QEMU's markers to our instance, if the kernel can. */
  readonly markers: boolean;
  /** Reads QEMU's markers from the top-level buffer if the kernel cannot copy them to our instance. */
  readonly consumeTopLevel: boolean;
  /** Patterns of the paths of QMP sockets, over which VMs are asked for their devices. */
  readonly qmp: readonly string[];
  readonly qemu: Pick<QemuFeedOptions, 'logs' | 'simples' | 'traceEvents' | 'anyEvent'>;
  /** When all events are counted; undefined: always. */
  readonly sampling?: SamplingPlan | undefined;
  /** The VMs of which sampling leaves nothing out, from a second tracing instance; undefined: there are none. */
  readonly focus?: FocusOptions | undefined;
  /** KVM's own statistics; undefined: they are not read. */
  readonly statistics: StatisticsOptions | undefined;
  /** How long a stopped VM is kept. */
  readonly graceMs: number;
  /** Looks a pod up by its uid. */
  readonly podOf?: VmInfoOptions['podOf'];
}
