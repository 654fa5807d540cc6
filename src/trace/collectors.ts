/** What can be counted in addition to exits. Each collector has an option, `--collector.<name>`. */
const COLLECTOR_NAMES = [
  'duration', // how long exits take, and the time outside the guest
  'causes', // which hardware exit led to which userspace exit
  'io', // ports and MMIO pages
  'eventfd', // ioeventfd kicks and interrupts from outside
  'indices', // which MSR, CPUID leaf, hypercall, page fault; exits of nested guests; what keeps APICv off
] as const;

export type CollectorName = (typeof COLLECTOR_NAMES)[number];

/** Whether each collector is on. */
export type CollectorSwitches = Readonly<Record<CollectorName, boolean>>;

export function collectorsWhere(isOn: (name: CollectorName) => boolean): CollectorSwitches {
  return Object.fromEntries(COLLECTOR_NAMES.map((name) => [name, isOn(name)])) as CollectorSwitches;
}
