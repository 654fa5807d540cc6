/**
 * Guests that leave their VM for one reason without end, each the cause of a finding about exits to KVM (PURE).
 *
 *   cpuid-loop: exits for `cpuid`; in the changed VM the code computes instead
 */
import type { GuestOptions } from '../../support/guest/start-guest.js';
import type { Step } from '../../support/guest/steps.js';

/** Folder of the mounted hugetlbfs. */
export const HUGE_PAGES = '/tmp/huge-pages';
/** Memory of a guest in huge pages. */
export const HUGE_MIB = 256;
/** So often that no guest gets to the end. */
const FOREVER = 4_000_000_000;
const X2APIC_ON = 0xfee00d00;
/** An interrupt to itself: vector 0x20, which stays pending, as interrupts are off. */
const TO_ITSELF = 0x40020;
const TSC_DEADLINE = 0x6e0;
/** QEMU answers reads of this MSR from 7.2 on, by the same way as those of RAPL (target/i386/kvm/kvm.c). */
const CORE_THREAD_COUNT = 0x35;

export type Setup = Omit<GuestOptions, 'name'>;

export interface ExitCase {
  readonly advice: string;
  /** Findings about what else the guest does. */
  readonly besides?: readonly string[];
  /** Reason of the exits in the text of the trace. */
  readonly reason: string;
  readonly guest: Setup;
  /** The changed VM; default: the code of the guest is changed. */
  readonly cured?: Setup;
}

/** A guest that computes. */
export const SPIN: Setup = { steps: [{ spin: true }] };
/** Touches its memory. An exit to QEMU shows that the recording has such exits. */
const TOUCH: readonly Step[] = [{ out: 0x80, times: 1 }, { touchPages: 1 << 20, times: 255 * 256 }, { spin: true }];

export const EXIT_CASES: readonly ExitCase[] = [
  { advice: 'cpuid-loop', reason: 'cpuid', guest: { steps: [{ cpuid: 1, times: FOREVER }] } },
  { advice: 'guest-profiler', reason: 'msr', guest: { steps: [{ rdmsr: 0xc0010004, times: FOREVER }] } },
  {
    advice: 'inter-processor-interrupts',
    reason: 'msr',
    guest: {
      steps: [
        { wrmsr: 0x1b, value: X2APIC_ON, times: 1 },
        { wrmsr: 0x830, value: TO_ITSELF, times: FOREVER },
      ],
    },
  },
  {
    advice: 'timer-deadline',
    reason: 'msr',
    guest: { steps: [{ wrmsr: TSC_DEADLINE, value: 1, times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    advice: 'rapl-in-guest',
    reason: 'KVM_EXIT_X86_RDMSR',
    guest: { steps: [{ rdmsr: CORE_THREAD_COUNT, times: FOREVER }] },
  },
  {
    advice: 'nested-hypervisor',
    reason: 'vmrun',
    guest: { steps: [{ nested: [{ vmmcall: 0, times: 5 }], times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    // KVM itself intercepts PAUSE only on a CPU with a pause filter, which no emulated CPU has.
    advice: 'spinning-locks',
    besides: ['nested-hypervisor'],
    reason: 'pause',
    guest: { steps: [{ nested: [{ pause: true, times: 100 }], times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    advice: 'page-faults',
    reason: 'npf',
    guest: { steps: [{ waitForHost: true }, ...TOUCH], memoryMiB: HUGE_MIB },
    cured: { steps: TOUCH, memoryMiB: HUGE_MIB, hugePages: HUGE_PAGES },
  },
  {
    advice: 'slow-device-model',
    reason: 'KVM_EXIT_IO',
    guest: { steps: [{ foreverClear: { bytes: 8 << 20 } }] },
  },
];
