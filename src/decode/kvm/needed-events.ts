/**
 * Which tracepoints each collector needs: what is not collected is not even enabled, so it costs the guests nothing.
 *
 * The floods (kvm_age_hva, kvm_emulate_insn: millions a second) are nobody's need.
 */

export type CollectorName = 'duration' | 'causes' | 'io' | 'eventfd';

/** Counting exits: guest -> KVM, KVM -> userspace; on s390 under names of their own. */
const ALWAYS = ['kvm_exit', 'kvm_userspace_exit', 'kvm_s390_sie_exit'];

const BY_COLLECTOR: Record<CollectorName, readonly string[]> = {
  duration: ['kvm_entry', 'kvm_enter', 'kvm_reenter', 'kvm_s390_sie_enter'],
  causes: [],
  io: ['kvm_pio', 'kvm_mmio', 'kvm_fast_mmio'],
  eventfd: ['kvm_pio', 'kvm_mmio', 'kvm_fast_mmio', 'kvm_msi_set_irq'],
};

export const COLLECTOR_NAMES = Object.keys(BY_COLLECTOR) as readonly CollectorName[];

/** Names of kvm tracepoints, of all architectures: a kernel has some of them. */
export function neededEvents(collectors: Readonly<Record<CollectorName, boolean>>): string[] {
  const wanted = COLLECTOR_NAMES.filter((name) => collectors[name]).flatMap((name) => BY_COLLECTOR[name]);
  return [...new Set([...ALWAYS, ...wanted])];
}

export const ALL_NEEDED_EVENTS: readonly string[] = neededEvents({
  duration: true,
  causes: true,
  io: true,
  eventfd: true,
});
