import { TIME_STATES, type TimeState } from '../count/time/vcpu-time.js';
import type { VcpuTimes } from '../snapshot/tables/vcpu-times.js';

/** Part of the time by state, from 0 to 1; null for a state that this host does not show. */
export type TimeShares = { readonly [State in TimeState]: number | null };

/**
 * The shares of the time of a vCPU in a period.
 * @param seconds length of the period; null if it is not known
 */
export function timeShares(newer: VcpuTimes, older: VcpuTimes | undefined, seconds: number | null): TimeShares {
  const gains = TIME_STATES.map((state) => {
    const now = newer[`${state}Seconds`];
    return now === undefined ? null : Math.max(0, now - (older?.[`${state}Seconds`] ?? 0));
  });
  // Time is counted up to the vCPU's latest reading. If the one before was long before the period, a vCPU gains more
  // than there is.
  const gained = gains.reduce((sum: number, gain) => sum + (gain ?? 0), 0);
  return fromStates((index) => {
    const gain = gains[index] ?? null;
    return gain === null || seconds === null ? null : gain / Math.max(seconds, gained);
  });
}

/** The same of several vCPUs together: 1 is the time of all of them. A state that none of them shows is null. */
export function meanShares(vcpus: readonly TimeShares[]): TimeShares {
  return fromStates((_, state) => {
    const sum = sumOf(vcpus, (shares) => shares[state]);
    return sum === null ? null : sum / vcpus.length;
  });
}

/** Null if no vCPU has the figure. */
export function sumOf(vcpus: readonly TimeShares[], figure: (shares: TimeShares) => number | null): number | null {
  const known = vcpus.map(figure).filter((share) => share !== null);
  return known.length === 0 ? null : known.reduce((sum, share) => sum + share, 0);
}

/** Null if the host does not show the time in KVM. */
export function outsideGuest({ kvm, qemu }: TimeShares): number | null {
  return kvm === null ? null : kvm + (qemu ?? 0);
}

function fromStates(shareOf: (index: number, state: TimeState) => number | null): TimeShares {
  return Object.fromEntries(TIME_STATES.map((state, index) => [state, shareOf(index, state)])) as TimeShares;
}
