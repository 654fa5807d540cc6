import type { Names } from '../../trace/names.js';
import type { Weights } from './sampled-exits.js';

/**
 * KVM's statistics that count the exits for one reason (x86, arm64), and the names of that reason. The audit compares
 * the same ones.
 */
export const REASON_STATISTICS: readonly (readonly [statistic: string, reasons: readonly string[]])[] = [
  ['io_exits', ['io', 'IO_INSTRUCTION']],
  ['halt_exits', ['hlt', 'HLT']],
  ['irq_exits', ['interrupt', 'EXTERNAL_INTERRUPT']],
  ['irq_window_exits', ['vintr', 'INTERRUPT_WINDOW']],
  ['hypercalls', ['hypercall', 'VMCALL']],
  ['hvc_exit_stat', ['HVC32', 'HVC64']],
];

/** What KVM must have counted in windows before it is clear whether the trace shows the same exits. */
const MIN_COMPARED = 100;
/** KVM is asked a few milliseconds before the edges of a window, so in a burst the two differ a little. */
const MAX_DIFFERENCE = 0.1;

/** A reason whose exits KVM counts. */
interface ExactReason {
  readonly reason: number;
  /** What the period adds to its estimate. */
  readonly exits: number;
  readonly weights: Weights;
}

interface Compared {
  readonly reasons: readonly number[];
  /** Exits in windows by KVM's count, and by ours. */
  kvm: number;
  seen: number;
  /** Exits in all periods by KVM's count; NaN once a period was not known. */
  total: number;
}

/** Exits by reason. */
type ByReason = ReadonlyMap<number, number>;

/**
 * The reasons of one VM whose exits KVM's own statistics tell: they need no estimate. A statistic is used if it has
 * counted the same exits as the trace in the windows so far: some flavours of KVM do not keep it, and a VM that runs
 * VMs of its own has exits that it does not count.
 */
export class ExactReasons {
  readonly #statistics: readonly Compared[];

  constructor(names: Names) {
    this.#statistics = REASON_STATISTICS.map(([, reasons]) => ({
      reasons: reasons.map((reason) => names.id(reason)),
      kvm: 0,
      seen: 0,
      total: 0,
    }));
  }

  /**
   * @param growth of each statistic in the window; NaN if it is not known
   * @param seen in the window
   */
  closeWindow(growth: readonly number[], seen: ByReason): void {
    this.#statistics.forEach((own, index) => {
      const kvm = growth[index] ?? Number.NaN;
      if (!(kvm >= 0)) return;
      own.kvm += kvm;
      for (const reason of own.reasons) own.seen += seen.get(reason) ?? 0;
    });
  }

  /**
   * Adds a period. Returns the reasons whose number is known. What was estimated before that is made up for, as far as
   * counts must not decrease.
   * @param growth of each statistic in the period; NaN if it is not known
   * @param seen in its window
   * @param known in all windows
   * @param estimateOf the estimate of all periods before
   */
  addPeriod(
    growth: readonly number[],
    seen: ByReason,
    known: ByReason,
    estimateOf: (reason: number) => number,
  ): ExactReason[] {
    this.#statistics.forEach((own, index) => {
      own.total += growth[index] ?? Number.NaN;
    });
    return this.#statistics.flatMap((own) => {
      const reason = exactReason(own, known);
      if (reason === undefined) return [];
      const inWindow = seen.get(reason) ?? 0;
      const exits = Math.max(0, own.total - Math.round(estimateOf(reason)));
      const weights =
        inWindow > 0
          ? { perSeen: exits / inWindow, perKnown: 0 }
          : { perSeen: 0, perKnown: exits / (known.get(reason) ?? Number.NaN) };
      return [{ reason, exits, weights }];
    });
  }

  /** Reason -> its exits in all periods, of those that are known. */
  totals(known: ByReason): Map<number, number> {
    return new Map(
      this.#statistics.flatMap((own) => {
        const reason = exactReason(own, known);
        return reason === undefined ? [] : [[reason, own.total] as const];
      }),
    );
  }
}

/** The reason that a statistic counts; undefined if it does not count the exits that the trace shows. */
function exactReason({ reasons, kvm, seen, total }: Compared, known: ByReason): number | undefined {
  const isSame = kvm >= MIN_COMPARED && Math.abs(seen - kvm) <= MAX_DIFFERENCE * kvm;
  // Of two reasons, a statistic does not tell how many exits each had.
  const [reason, ...more] = reasons.filter((each) => (known.get(each) ?? 0) > 0);
  return total >= 0 && isSame && more.length === 0 ? reason : undefined;
}
