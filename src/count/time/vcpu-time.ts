/** The places where a vCPU can spend its time. `unknown`: nothing shows where it was. */
export const TIME_STATES = ['guest', 'kvm', 'qemu', 'ready', 'idle', 'unknown'] as const;

export type TimeState = (typeof TIME_STATES)[number];

/** Nanoseconds by state; undefined for a state that this host does not show: its time is in another state. */
export type VcpuTime = { [State in TimeState]: number | undefined };

export function newVcpuTime(): VcpuTime {
  return {
    guest: undefined,
    kvm: undefined,
    qemu: undefined,
    ready: undefined,
    idle: undefined,
    unknown: undefined,
  };
}

/** Adds time to a state, which is known from then on, even if the time is 0. */
export function addTime(time: VcpuTime, state: TimeState, ns: number): void {
  time[state] = (time[state] ?? 0) + ns;
}

export function addAllTime(to: VcpuTime, from: VcpuTime): void {
  for (const state of TIME_STATES) {
    const ns = from[state];
    if (ns !== undefined) addTime(to, state, ns);
  }
}
