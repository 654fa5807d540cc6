import type { CollectorName } from '../../trace/collectors.js';
import type { EventForms } from './event-forms.js';

/** One tracepoint of KVM. events.ts lists all of them. */
export interface KvmEvent extends EventForms {
  /** The tracepoint's name without its system, `kvm_exit`. Several if architectures name the same event differently. */
  readonly names: readonly string[];
  /** Collectors for which the tracepoint is enabled; `always` if exits cannot be counted without it. */
  readonly neededBy: 'always' | readonly CollectorName[];
}
