import type { ReasonRate } from './reason-rates.js';

/** A note about figures that are estimated from windows; '' if all events are counted. */
export function samplingNote(fraction: number | null): string {
  if (fraction === null) return '';
  if (fraction === 0) return 'Sampling: figures of exits to KVM follow after the first period.';
  const share = `${(100 * fraction).toLocaleString('en', { maximumSignificantDigits: 2 })} %`;
  return `Sampling: all events are counted in ${share} of the time. Exits to KVM, causes, addresses and durations are estimates (~), one period late.`;
}

/** The mark of an estimated figure, and its error: `~1,234 ± 3 %`. */
export function estimate(
  text: string,
  { layer, sampling_error: error }: Pick<ReasonRate, 'layer' | 'sampling_error'>,
  fraction: number | null,
): string {
  if (fraction === null || layer !== 'kvm') return text;
  const share = error === null ? '' : ` ± ${(100 * error).toLocaleString('en', { maximumSignificantDigits: 2 })} %`;
  return `~${text}${share}`;
}
