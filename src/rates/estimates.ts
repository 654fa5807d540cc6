import type { ReasonRate } from './reason-rates.js';
import type { VmRow } from './vm-row.js';

/** A note about figures that are estimated from windows; '' if all events are counted. */
export function samplingNote(fraction: number | null): string {
  if (fraction === null) return '';
  if (fraction === 0) return 'Sampling: figures of exits to KVM follow after the first period.';
  const share = `${(100 * fraction).toLocaleString('en', { maximumSignificantDigits: 2 })} %`;
  return `Sampling: all events are counted in ${share} of the time. Exits to KVM, causes, addresses and durations are estimates (~), one period late.`;
}

/** VMs that are named one by one. */
const MAX_NAMED = 5;

/** A note about the VMs of which all events are counted nevertheless; '' if there are none. */
export function focusNote(vms: readonly Pick<VmRow, 'vm' | 'focused'>[]): string {
  const focused = vms.filter((row) => row.focused).map(({ vm }) => vm);
  if (focused.length === 0) return '';
  const more = focused.length > MAX_NAMED ? ` and ${focused.length - MAX_NAMED} more` : '';
  return `In focus, with all events counted: ${focused.slice(0, MAX_NAMED).join(', ')}${more}.`;
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
