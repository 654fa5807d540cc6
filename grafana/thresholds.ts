/**
 * Every number that decides whether an alert fires, each with its reason. Change a number here and run
 * `npm run dashboards`, which writes the rules.
 */
export const THRESHOLDS = {
  /** Window of all rates in rules. It holds at least four scrapes that are a minute apart. */
  rateWindow: '5m',
  /** Interval of the recording rules. Rates over five minutes need no more, and hundreds of hosts take seconds. */
  recordEvery: '1m',

  /** A VM's rate of exits to userspace, compared with its own median. */
  spike: {
    baselineWindow: '1d',
    /** The baseline ends this long ago, so that a spike does not raise its own baseline. */
    baselineOffset: '10m',
    /** A VM younger than this has no baseline, because a VM that boots makes nothing but spikes. */
    minHistory: '1h',
    /**
     * Floors are exits per second of a VM. Below the floor even a thousandfold rise does not matter: 2,000 exits per
     * second of 15 us each take 3 % of a vCPU.
     */
    warning: { factor: 5, floor: 2_000, for: '10m' },
    critical: { factor: 20, floor: 20_000, for: '5m' },
  },

  /**
   * Share of exits that reach QEMU. A VM with virtio and vhost or ioeventfd stays below a tenth; with emulated devices
   * nearly all exits reach QEMU. `floor` is in exits per second.
   */
  share: { above: 0.5, floor: 1_000, for: '30m' },

  /** Exits per second and vCPU, by the names that VMX and SVM give to a hardware reason. */
  storms: {
    /** A guest that spins on a lock. KVM's pause-loop exiting makes these rare in a healthy guest. */
    pause: { reasons: ['PAUSE_INSTRUCTION', 'pause'], above: 10_000, for: '10m' },
    /** MMIO. Kicks of modern virtio devices count here too, so the limit is above what a busy disk makes. */
    mmio: { reasons: ['EPT_MISCONFIG', 'npf'], above: 30_000, for: '15m' },
    /** A guest that falls asleep and is woken ten thousand times a second. */
    halt: { reasons: ['HLT', 'hlt'], above: 10_000, for: '15m' },
  },

  /** Exits after which a guest does not go on. One such exit fires the alert for as long as `window`. */
  fatal: {
    critical: ['KVM_EXIT_INTERNAL_ERROR', 'KVM_EXIT_FAIL_ENTRY'],
    /** Some guests reboot by a triple fault, so this exit does not prove a failure. */
    warning: ['KVM_EXIT_SHUTDOWN'],
    window: '10m',
    /** How far back an exit is recognised as an old one. After a longer outage of Prometheus it looks new. */
    memory: '1h',
  },

  /** A vCPU that waits in QEMU for a device and does not return. `memory`: how far back normal waiting is looked up. */
  stuck: { for: '5m', memory: '6h' },

  /** Share of a vCPU's time that exits take, without idle time. */
  timeLost: { warning: { above: 0.25, for: '15m' }, critical: { above: 0.6, for: '15m' } },

  /**
   * Halt polling that burns host CPUs: host CPUs that a VM's idle vCPUs spend polling in vain, and the share of polling
   * that is in vain. Polling for at most 200 us (KVM's default) that mostly finds work is the price of low latency.
   */
  haltPolling: { above: 0.2, failing: 0.5, for: '30m' },
  /** Share of a vCPU's time in which it is ready to run, and waits for a host CPU. */
  ready: { above: 0.1, for: '20m' },

  exporter: {
    /** Regular expression for the scrape jobs of kvm-exit-exporter. */
    job: '.*kvm-exit-exporter.*',
    down: { for: '5m' },
    absent: { for: '15m' },
    sourceDown: { for: '5m' },
    /** Share of all events. Losing a thousandth does not change the picture, but should not last. */
    lost: { above: 0.001, for: '10m' },
    gaps: { window: '15m', for: '5m' },
    /** A refused series is missing for as long as its VM exists, so the alert stays on for long. */
    limited: { window: '6h', for: '15m' },
    malformed: { window: '15m', for: '15m' },
    /** Largest difference of our counts from KVM's own; they agree to the exit where nothing is wrong. */
    audit: { difference: 0.01, for: '15m' },
  },
} as const satisfies Thresholds;

/** The type without the literal values, so that a test can use shorter times. */
export interface Thresholds {
  readonly rateWindow: string;
  readonly recordEvery: string;
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
  readonly haltPolling: Limit & { readonly failing: number };
  readonly ready: Limit;
  readonly exporter: {
    readonly job: string;
    readonly down: { readonly for: string };
    readonly absent: { readonly for: string };
    readonly sourceDown: { readonly for: string };
    readonly lost: Limit;
    readonly gaps: { readonly window: string; readonly for: string };
    readonly limited: { readonly window: string; readonly for: string };
    readonly malformed: { readonly window: string; readonly for: string };
    readonly audit: { readonly difference: number; readonly for: string };
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

/**
 * Address of the runbooks that the agent of an alert serves. Where agents have TLS, or where `instance` is not their
 * address, change it, or use {@link RUNBOOKS}.
 */
export const RUNBOOKS_OF_AGENT = 'http://{{ $labels.instance }}/runbooks';

/** Address of the runbooks on the web site, for dashboards and for alerts about an agent that does not answer. */
export const RUNBOOKS = 'https://github.com/kvm-exit-exporter/kvm-exit-exporter/blob/main/deploy/runbooks';
