/** How much of a workload a rule looks at: how often, for how long, and where. */
import { IDLE_REASONS } from '../count/vcpu/known-reasons.js';
import type { CountMatch, ExitMatch, FaultMatch, IoMatch, Match, MsrMatch, TimeMatch } from './rules/rule.js';
import { isTimeMatch, mostOfOneVcpu, timesOf } from './vcpu-times.js';
import { type IoRate, MEMORY_FAULTS, type Workload } from './workload.js';

export interface Load {
  /** `time`: rates are seconds per second. */
  readonly kind: 'exits' | 'time';
  readonly perSecond: number;
  /** Rate of a mean vCPU; of a time, that of the vCPU with most of it. */
  readonly perVcpuSecond: number;
  /**
   * Seconds per second that they take from a guest that wants to run, of all vCPUs: 1 is one whole vCPU. Undefined if
   * that is not known: no duration is, or the guest is idle in all of them.
   */
  readonly cost: number | undefined;
  /** Mean duration of one, sleep included. Undefined for a time, and if no duration is known. */
  readonly meanSeconds: number | undefined;
  readonly p99Seconds: number | undefined;
  /** Share of the exits of their layer; 1 for a time. */
  readonly shareOfLayer: number;
  /** What was matched most often: `port 0x608 (acpi_pm_timer)`, `EPT_VIOLATION`, `vCPU 3`. */
  readonly mainly: string;
}

interface Part {
  readonly name: string;
  readonly perSecond: number;
  readonly meanSeconds: number | undefined;
  readonly p99Seconds: number | undefined;
  /** True if an idle guest waits in them to be woken: no change would save that time. */
  readonly isIdle?: boolean;
}

const IDLE: ReadonlySet<string> = new Set(IDLE_REASONS);

/** Everything that one of the matches fits; undefined if nothing does. */
export function loadOf(workload: Workload, matches: readonly Match[]): Load | undefined {
  const times = matches.filter(isTimeMatch);
  const counts = matches.filter((match): match is CountMatch => !isTimeMatch(match));
  return times.length > 0 ? timeLoad(workload, times) : countLoad(workload, counts);
}

function timeLoad({ times, vcpus }: Workload, matches: readonly TimeMatch[]): Load | undefined {
  const parts = matches.flatMap((match) => timesOf(times, match));
  const [first] = parts.sort((a, b) => b.perSecond - a.perSecond);
  if (first === undefined || first.perSecond === 0) return undefined;
  const perSecond = parts.reduce((sum, part) => sum + part.perSecond, 0);
  const most = mostOfOneVcpu(parts, vcpus);
  return {
    kind: 'time',
    perSecond,
    perVcpuSecond: most.perSecond,
    cost: perSecond,
    meanSeconds: undefined,
    p99Seconds: undefined,
    shareOfLayer: 1,
    mainly: first.kind === 'state' ? `vCPU ${most.vcpu}` : first.name,
  };
}

function countLoad(workload: Workload, matches: readonly CountMatch[]): Load | undefined {
  const parts = matches.flatMap((match) => partsOf(workload, match)).filter(({ perSecond }) => perSecond > 0);
  const [first] = parts.sort((a, b) => b.perSecond - a.perSecond);
  if (first === undefined) return undefined;
  const perSecond = rateOf(parts);
  const layers = new Set(matches.map((match) => ('exits' in match ? match.exits : 'io' in match ? 'qemu' : 'kvm')));
  const ofLayers = workload.exits.filter(({ layer }) => layers.has(layer)).reduce((sum, row) => sum + row.perSecond, 0);
  return {
    kind: 'exits',
    perSecond,
    perVcpuSecond: perSecond / workload.vcpus,
    cost: costOf(parts),
    meanSeconds: meanOf(parts),
    p99Seconds: largest(parts.map((part) => part.p99Seconds)),
    shareOfLayer: ofLayers > 0 ? Math.min(1, perSecond / ofLayers) : 0,
    mainly: first.name,
  };
}

/** An idle guest loses nothing: what its exits take besides the sleep is not known, and not in the cost. */
function costOf(parts: readonly Part[]): number | undefined {
  const awake = parts.filter(({ isIdle = false }) => !isIdle);
  const mean = meanOf(awake);
  return mean === undefined ? undefined : mean * rateOf(awake);
}

/** Undefined if the durations of most of them are not known. */
function meanOf(parts: readonly Part[]): number | undefined {
  const timed = parts.filter(({ meanSeconds }) => meanSeconds !== undefined);
  const timedRate = rateOf(timed);
  if (timedRate === 0 || timedRate * 2 < rateOf(parts)) return undefined;
  return timed.reduce((sum, { perSecond, meanSeconds = 0 }) => sum + perSecond * meanSeconds, 0) / timedRate;
}

function rateOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { perSecond }) => sum + perSecond, 0);
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function partsOf(workload: Workload, match: CountMatch): Part[] {
  if ('exits' in match) return exitParts(workload, match);
  if ('io' in match) return ioParts(workload, match);
  if ('msrs' in match) return msrParts(workload, match);
  if ('faults' in match) return faultParts(workload, match);
  return [
    {
      name: 'ioeventfd',
      perSecond: workload.ioeventfdPerSecond,
      meanSeconds: undefined,
      p99Seconds: undefined,
    },
  ];
}

function exitParts({ exits }: Workload, match: ExitMatch): Part[] {
  return exits
    .filter(({ layer, reason }) => layer === match.exits && match.reasons.includes(reason))
    .map((row) => ({ ...row, name: row.reason, perSecond: row.handledPerSecond, isIdle: IDLE.has(row.reason) }));
}

/** Each is taken for a mean one of its kind. AMD has one reason for reads and writes. */
function msrParts({ exits, msrs }: Workload, match: MsrMatch): Part[] {
  const reasons = ['msr', match.direction === 'write' ? 'MSR_WRITE' : 'MSR_READ'];
  const all = exits.find(({ layer, reason }) => layer === 'kvm' && reasons.includes(reason));
  return msrs
    .filter(({ direction, msr }) => direction === match.direction && match.msrs.includes(msr))
    .map(({ msr, perSecond }) => ({
      name: msr,
      perSecond,
      meanSeconds: all?.meanSeconds,
      p99Seconds: all?.p99Seconds,
    }));
}

/** Each is taken for a mean exit for a fault. */
function faultParts({ exits, pageFaults }: Workload, match: FaultMatch): Part[] {
  const all = exits.find(({ layer, reason }) => layer === 'kvm' && MEMORY_FAULTS.has(reason));
  return pageFaults
    .filter(({ kind }) => match.faults.includes(kind))
    .map(({ kind, perSecond }) => ({
      name: kind,
      perSecond,
      meanSeconds: all?.meanSeconds,
      p99Seconds: all?.p99Seconds,
    }));
}

/** An access whose time is not known is taken for a mean one of its bus. */
function ioParts({ exits, io }: Workload, match: IoMatch): Part[] {
  const reason = match.io === 'pio' ? 'KVM_EXIT_IO' : 'KVM_EXIT_MMIO';
  const all = exits.find((row) => row.layer === 'qemu' && row.reason === reason);
  return io
    .filter((row) => row.layer === 'qemu' && row.bus === match.io && isAt(row, match))
    .map((row) => ({
      name: placeOf(row),
      perSecond: row.perSecond,
      meanSeconds: row.meanSeconds ?? all?.meanSeconds,
      p99Seconds: all?.p99Seconds,
    }));
}

function isAt({ address, device, direction }: IoRate, match: IoMatch): boolean {
  if (match.direction !== undefined && direction !== match.direction) return false;
  const isAddress = match.addresses?.some(([first, last]) => address >= first && address <= last) === true;
  return isAddress || (match.devices !== undefined && device !== '' && match.devices.test(device));
}

function placeOf({ bus, address, device }: Pick<IoRate, 'bus' | 'address' | 'device'>): string {
  const place = Number.isNaN(address) ? 'other addresses' : `0x${address.toString(16)}`;
  return `${bus === 'pio' ? 'port' : 'page'} ${place}${device === '' ? '' : ` (${device})`}`;
}
