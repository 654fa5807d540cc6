import type { Collectors } from '../count/vcpu/vcpu-counts.js';
import type { KernelTraceOptions } from '../source/tracefs/kernel-trace.js';
import type { QemuFeedOptions } from './qemu-feed.js';
import type { VmInfoOptions } from './vm-infos.js';

export interface AgentOptions {
  readonly procfs: string;
  readonly tracefs: string | undefined;
  readonly instance: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** `system:event`, `kvm:*`; undefined: those that are needed. */
  readonly events: readonly string[] | undefined;
  readonly collectors: Collectors;
  /** Addresses of each VM that have series of their own. */
  readonly ioAddresses: number;
  readonly reader: KernelTraceOptions['reader'];
  /** Read the kernel's trace at all. */
  readonly kernel: boolean;
  /** Have QEMU's markers copied to our instance; where that can't be, read them from the top-level buffer. */
  readonly markers: boolean;
  readonly consumeTopLevel: boolean;
  /** Patterns of QMP sockets, to ask VMs for their devices. */
  readonly qmp: readonly string[];
  readonly qemu: Pick<QemuFeedOptions, 'logs' | 'simples' | 'traceEvents'>;
  readonly graceMs: number;
  /** What the cluster tells of pods. */
  readonly podOf?: VmInfoOptions['podOf'];
}
