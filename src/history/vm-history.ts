import { TIME_STATES, type TimeState } from '../count/time/vcpu-time.js';
import type { Layer } from '../snapshot/tables/layer.js';
import { BusiestSeries } from './busiest-series.js';
import type { MemoryBudget } from './memory-budget.js';
import { BYTES_PER_SERIES, newSeries, type Series } from './steps.js';
import type { VmStep } from './vm-step.js';

const MAX_REASONS = 8;
const MAX_DEVICES = 6;
const MAX_VCPUS = 8;

/** The figures that have one series each, and how they are read. */
const FIGURES = {
  kvm: ({ kvm }: VmStep) => kvm,
  qemu: ({ qemu }: VmStep) => qemu,
  kvm_p50: ({ durations }: VmStep) => durations.kvm.p50,
  kvm_p99: ({ durations }: VmStep) => durations.kvm.p99,
  qemu_p50: ({ durations }: VmStep) => durations.qemu.p50,
  qemu_p99: ({ durations }: VmStep) => durations.qemu.p99,
  ...(Object.fromEntries(
    TIME_STATES.map((state) => [`time_${state}`, ({ shares }: VmStep) => shares[state]]),
  ) as Record<`time_${TimeState}`, (step: VmStep) => number | null>),
};

export type Figure = keyof typeof FIGURES;

const FIGURE_NAMES = Object.keys(FIGURES) as readonly Figure[];

/** Groups of the busiest names, and one series for the rest of the group. */
const GROUPS = 4;

/** Series that every VM has. */
export const FIXED_BYTES = (FIGURE_NAMES.length + GROUPS) * BYTES_PER_SERIES;
/** All series of a VM with many reasons, devices and vCPUs. */
export const MAX_BYTES_PER_VM = FIXED_BYTES + (2 * MAX_REASONS + MAX_DEVICES + MAX_VCPUS) * BYTES_PER_SERIES;

/** The series of one VM. */
export class VmHistory {
  readonly figures = Object.fromEntries(FIGURE_NAMES.map((name) => [name, newSeries()])) as Record<Figure, Series>;
  readonly reasons: Readonly<Record<Layer, BusiestSeries>>;
  readonly devices: BusiestSeries;
  readonly vcpus: BusiestSeries;

  /** @param budget {@link FIXED_BYTES} of it are taken already */
  constructor(budget: MemoryBudget) {
    this.reasons = { kvm: new BusiestSeries(MAX_REASONS, budget), qemu: new BusiestSeries(MAX_REASONS, budget) };
    this.devices = new BusiestSeries(MAX_DEVICES, budget);
    this.vcpus = new BusiestSeries(MAX_VCPUS, budget);
  }

  get bytes(): number {
    return FIGURE_NAMES.length * BYTES_PER_SERIES + this.#groups.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @param step undefined if nothing is known of the VM in this step */
  write(position: number, step: VmStep | undefined): void {
    for (const name of FIGURE_NAMES) this.figures[name][position] = (step && FIGURES[name](step)) ?? Number.NaN;
    this.reasons.kvm.write(position, step?.reasons.kvm);
    this.reasons.qemu.write(position, step?.reasons.qemu);
    this.devices.write(position, step?.devices);
    this.vcpus.write(position, step?.vcpus);
  }

  get #groups(): readonly BusiestSeries[] {
    return [this.reasons.kvm, this.reasons.qemu, this.devices, this.vcpus];
  }
}
