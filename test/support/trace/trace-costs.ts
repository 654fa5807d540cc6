/**
 * What accesses cost by the text of a trace: the time from each return of KVM_RUN to the next entry into the guest, by
 * port or page. Written for tests, without the decoders of the program.
 */
export interface AddressCost {
  readonly perSecond: number;
  /** Seconds per second. */
  readonly seconds: number;
}

const LINE = /-(\d+)\s+(?:\(\s*\d+\)\s+)?\[\d+\].*?\s(\d+\.\d+): (kvm_\w+): (.*)$/;
const PIO = /^pio_(?:read|write) at (0x[0-9a-f]+) /;
const MMIO = /^mmio (?:write|read|unsatisfied-read) len \d+ gpa (0x[0-9a-f]+) /;

/**
 * Bus and address -> its cost.
 * @param thread thread id of the vCPU; default: all vCPUs together
 */
export function costsByAddress(text: string, thread?: string): Map<string, AddressCost> {
  const addresses = new Map<string, string>();
  const exits = new Map<string, number>();
  const sums = new Map<string, { count: number; seconds: number }>();
  let [first, last] = [Number.NaN, Number.NaN];
  for (const line of text.split('\n')) {
    const [, tid = '', time = '', event = '', fields = ''] = LINE.exec(line) ?? [];
    if (tid === '') continue;
    const at = Number(time);
    if (Number.isNaN(first)) first = at;
    last = at;
    if (thread !== undefined && tid !== thread) continue;
    const pio = event === 'kvm_pio' ? PIO.exec(fields)?.[1] : undefined;
    const mmio = event === 'kvm_mmio' ? MMIO.exec(fields)?.[1] : undefined;
    if (event === 'kvm_exit') addresses.delete(tid);
    else if (pio !== undefined) addresses.set(tid, `pio ${pio}`);
    else if (mmio !== undefined) addresses.set(tid, `mmio ${mmio}`);
    else if (event === 'kvm_userspace_exit') exits.set(tid, at);
    else if (event === 'kvm_entry') {
      const exitAt = exits.get(tid);
      exits.delete(tid);
      if (exitAt === undefined) continue;
      // The kernel prints a read once QEMU has answered it, so its address may follow the exit.
      const address = addresses.get(tid) ?? '';
      const sum = sums.get(address) ?? { count: 0, seconds: 0 };
      sums.set(address, { count: sum.count + 1, seconds: sum.seconds + at - exitAt });
    }
  }
  return new Map(
    [...sums].map(([address, { count, seconds }]) => [
      address,
      { perSecond: count / (last - first), seconds: seconds / (last - first) },
    ]),
  );
}

/** The events that {@link costsByReason} needs. */
export const COST_EVENTS = ['kvm/kvm_exit', 'kvm/kvm_entry', 'kvm/kvm_userspace_exit'];

/**
 * What exits cost by the text of a trace, by thread and reason: `186 npf` -> from each kvm_exit to the next entry into
 * the guest, `186 KVM_EXIT_IO` -> from each return of KVM_RUN to it. An exit that goes on to userspace is in the second
 * only.
 */
export function costsByReason(text: string): Map<string, AddressCost> {
  const open = new Map<string, { readonly reason: string; readonly at: number }>();
  const sums = new Map<string, { count: number; seconds: number }>();
  let [first, last] = [Number.NaN, Number.NaN];
  for (const line of text.split('\n')) {
    const [, tid = '', time = '', event = '', fields = ''] = LINE.exec(line) ?? [];
    if (tid === '') continue;
    const at = Number(time);
    if (Number.isNaN(first)) first = at;
    last = at;
    const reason = /reason (.+?) (?:rip|\()/.exec(fields)?.[1] ?? '';
    if (event === 'kvm_exit' || event === 'kvm_userspace_exit') open.set(tid, { reason, at });
    else if (event === 'kvm_entry') {
      const exit = open.get(tid);
      open.delete(tid);
      if (exit === undefined) continue;
      const key = `${tid} ${exit.reason}`;
      const sum = sums.get(key) ?? { count: 0, seconds: 0 };
      sums.set(key, { count: sum.count + 1, seconds: sum.seconds + at - exit.at });
    }
  }
  return new Map(
    [...sums].map(([key, { count, seconds }]) => [
      key,
      { perSecond: count / (last - first), seconds: seconds / (last - first) },
    ]),
  );
}
