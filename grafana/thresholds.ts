/**
 * Every number that decides whether somebody is woken, in one place. Change it here, then `npm run dashboards` writes the rules anew.
 * Where a number comes from is said beside it; none of them is a law of nature.
 */
export const THRESHOLDS = {
  /** Window of all rates in rules: at least four scrapes of a minute. */
  rateWindow: '5m',

  /** Exits to userspace of a VM against its own median. */
  spike: {
    baselineWindow: '1d',
    /** What happens now is not yet its own yardstick. */
    baselineOffset: '10m',
    /** A VM younger than this has no baseline: it boots, and booting is all spikes. */
    minHistory: '1h',
    /** Rates are exits per second of a VM. Below the floor not even a thousandfold rise matters: 2,000/s at 15 us each are 3 % of a vCPU. */
    warning: { factor: 5, floor: 2_000, for: '10m' },
    critical: { factor: 20, floor: 20_000, for: '5m' },
  },

  /** A VM on virtio with vhost or ioeventfd stays below a tenth; one on emulated devices comes near to all. */
  share: { above: 0.5, floor: 1_000, for: '30m' },

  /** Exits per second and vCPU, by hardware reason as VMX and SVM name it. */
  storms: {
    /** A spinning guest; KVM's pause-loop exiting is meant to make these rare. */
    pause: { reasons: ['PAUSE_INSTRUCTION', 'pause'], above: 10_000, for: '10m' },
    /** MMIO. Kicks of modern virtio come here too (they end in the kernel), so it takes more than a busy disk. */
    mmio: { reasons: ['EPT_MISCONFIG', 'npf'], above: 30_000, for: '15m' },
    /** Falling asleep and being woken ten thousand times a second. */
    halt: { reasons: ['HLT', 'hlt'], above: 10_000, for: '15m' },
  },

  /** Exits after which a guest does not go on. One is enough; it is shown for as long as the window. */
  fatal: {
    critical: ['KVM_EXIT_INTERNAL_ERROR', 'KVM_EXIT_FAIL_ENTRY'],
    /** Some guests reboot by a triple fault, so this one is no proof of harm. */
    warning: ['KVM_EXIT_SHUTDOWN'],
    window: '10m',
    /** An outage of Prometheus shorter than this does not make an old fatal exit look new. */
    memory: '1h',
  },

  /** A vCPU that waits in QEMU for a device and does not come back. */
  stuck: { for: '5m', memory: '6h' },

  /** Share of a vCPU's time that exits take, idle time apart. */
  timeLost: { warning: { above: 0.25, for: '15m' }, critical: { above: 0.6, for: '15m' } },

  exporter: {
    /** Which scrape jobs are ours. */
    job: '.*kvm-exit-exporter.*',
    down: { for: '5m' },
    absent: { for: '15m' },
    sourceDown: { for: '5m' },
    /** Share of all events. A thousandth does not change what a dashboard says, but it should not be the rule. */
    lost: { above: 0.001, for: '10m' },
    gaps: { window: '15m', for: '5m' },
    /** What was refused once has no series until its VM is gone, so it is shown for long. */
    limited: { window: '6h', for: '15m' },
    malformed: { window: '15m', for: '15m' },
  },
} as const satisfies Thresholds;

/** What a test may shorten. */
export interface Thresholds {
  readonly rateWindow: string;
  readonly spike: {
    readonly baselineWindow: string;
    readonly baselineOffset: string;
    readonly minHistory: string;
    readonly warning: SpikeLimit;
    readonly critical: SpikeLimit;
  };
  readonly share: { readonly above: number; readonly floor: number; readonly for: string };
  readonly storms: Readonly<Record<'pause' | 'mmio' | 'halt', Limit & { readonly reasons: readonly string[] }>>;
  readonly fatal: {
    readonly critical: readonly string[];
    readonly warning: readonly string[];
    readonly window: string;
    readonly memory: string;
  };
  readonly stuck: { readonly for: string; readonly memory: string };
  readonly timeLost: { readonly warning: Limit; readonly critical: Limit };
  readonly exporter: {
    readonly job: string;
    readonly down: { readonly for: string };
    readonly absent: { readonly for: string };
    readonly sourceDown: { readonly for: string };
    readonly lost: Limit;
    readonly gaps: { readonly window: string; readonly for: string };
    readonly limited: { readonly window: string; readonly for: string };
    readonly malformed: { readonly window: string; readonly for: string };
  };
}

interface Limit {
  readonly above: number;
  readonly for: string;
}

interface SpikeLimit {
  readonly factor: number;
  readonly floor: number;
  readonly for: string;
}

/** Where people find the runbooks; alerts and dashboards link there. */
export const RUNBOOKS = 'https://github.com/kvm-exit-exporter/kvm-exit-exporter/blob/main/deploy/runbooks';
