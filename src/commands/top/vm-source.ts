import type { VmDetail } from '../../rates/vm-detail.js';
import type { CurrentRates } from '../../rates/vm-rates.js';

/** The origin of the figures: this host, or an agent that runs elsewhere. */
export interface VmSource {
  /** Shown in the title. */
  readonly name: string;
  /** @throws AgentError if there is no answer; the next call tries again */
  current(): Promise<CurrentRates>;
  /** One VM; undefined if there is none of that name. @throws as {@link current} */
  detail(vm: string): Promise<VmDetail | undefined>;
  /** Ends a question that is under way: it has no answer then. */
  close(): void;
}
