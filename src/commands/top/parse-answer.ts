/**
 * The answers of an agent, checked. Another program may answer, or an agent of another version: what is missing, or of
 * another type, is unknown.
 */
import { CHANGERS } from '../../advice/who-changes.js';
import { TIME_STATES } from '../../count/time/vcpu-time.js';
import type { AccessRate, DeviceRate } from '../../rates/access-rates.js';
import type { Bounded } from '../../rates/period.js';
import type { ReasonRate } from '../../rates/reason-rates.js';
import type { TimeShares } from '../../rates/time-shares.js';
import type { CauseRate, PurposeRate, VcpuRow, VmDetail } from '../../rates/vm-detail.js';
import type { CurrentRates } from '../../rates/vm-rates.js';
import type { TopDevice, VmRow } from '../../rates/vm-row.js';
import { AgentError } from '../../system/errors.js';

type Json = Readonly<Record<string, unknown>>;

/** Rows of a list that are read. */
const MAX_ROWS = 10_000;
/** Characters of a text that are read. The longest of an agent are causes and changes of findings. */
const MAX_TEXT = 4000;

/** @throws AgentError if it is no answer of /api/vms */
export function parseRates(answer: unknown): CurrentRates {
  const json = objectOf(answer);
  if (!Array.isArray(json.vms)) throw new AgentError('the answer has no VMs; is it the address of an agent?');
  return {
    seconds: number(json.seconds),
    vms: list(json.vms).map(vmRow),
    sampled_fraction: number(json.sampled_fraction),
    lost_events: number(json.lost_events) ?? 0,
    lost_events_per_second: number(json.lost_events_per_second),
    sources: list(json.sources).map(({ source, up }) => ({ source: text(source), up: up === true })),
  };
}

/** @throws AgentError if it is no answer of /api/vm */
export function parseDetail(answer: unknown): VmDetail {
  const json = objectOf(answer);
  if (typeof json.vm !== 'object') throw new AgentError('the answer is not about a VM');
  return {
    seconds: number(json.seconds),
    sampled_fraction: number(json.sampled_fraction),
    vm: vmRow(objectOf(json.vm)),
    vcpus: bounded(
      json.vcpus,
      (row): VcpuRow => ({
        vcpu: text(row.vcpu),
        kvm_exits_per_second: number(row.kvm_exits_per_second),
        qemu_exits_per_second: number(row.qemu_exits_per_second),
        time_shares: row.time_shares === null ? null : timeShares(row.time_shares),
      }),
    ),
    reasons: bounded(
      json.reasons,
      (row): ReasonRate => ({
        layer: layer(row.layer),
        reason: text(row.reason),
        exits: number(row.exits) ?? 0,
        exits_per_second: number(row.exits_per_second),
        sampling_error: number(row.sampling_error),
        seconds_per_second: number(row.seconds_per_second),
        mean_seconds: number(row.mean_seconds),
        p50_seconds: number(row.p50_seconds),
        p99_seconds: number(row.p99_seconds),
      }),
    ),
    causes: bounded(
      json.causes,
      (row): CauseRate => ({
        reason: text(row.reason),
        userspace_reason: text(row.userspace_reason),
        exits: number(row.exits) ?? 0,
        exits_per_second: number(row.exits_per_second),
      }),
    ),
    devices: bounded(json.devices, deviceRate),
    accesses: bounded(
      json.accesses,
      (row): AccessRate => ({
        ...deviceRate(row),
        direction: row.direction === 'in' ? 'in' : 'out',
      }),
    ),
    purposes: bounded(
      json.purposes,
      (row): PurposeRate => ({
        event: text(row.event),
        which: text(row.which),
        times: number(row.times) ?? 0,
        times_per_second: number(row.times_per_second),
      }),
    ),
    findings: bounded(json.findings, (row): VmDetail['findings']['rows'][number] => ({
      vm: text(row.vm),
      advice: text(row.advice),
      severity: severity(row.severity),
      confidence: row.confidence === 'high' || row.confidence === 'medium' ? row.confidence : 'low',
      title: text(row.title),
      per_second: number(row.per_second) ?? 0,
      mainly: text(row.mainly),
      cost: number(row.cost),
      is_boot: row.is_boot === true,
      cause: text(row.cause),
      changes: Object.fromEntries(
        CHANGERS.flatMap((who) => {
          const change = objectOf(row.changes)[who];
          return typeof change === 'string' ? [[who, text(change)]] : [];
        }),
      ),
      lasted_seconds: number(row.lasted_seconds) ?? 0,
    })),
  };
}

function vmRow(row: Json): VmRow {
  const [reason, device, finding] = [row.top_reason, row.top_device, row.finding].map((part) =>
    typeof part === 'object' && part !== null ? objectOf(part) : undefined,
  );
  return {
    vm: text(row.vm),
    vcpus: number(row.vcpus),
    focused: row.focused === true,
    kvm_exits_per_second: number(row.kvm_exits_per_second),
    qemu_exits_per_second: number(row.qemu_exits_per_second),
    share_reaching_qemu: number(row.share_reaching_qemu),
    io_exits_per_second: number(row.io_exits_per_second),
    mmio_exits_per_second: number(row.mmio_exits_per_second),
    halts_per_second: number(row.halts_per_second),
    time_outside_guest: number(row.time_outside_guest),
    time_in_qemu: number(row.time_in_qemu),
    time_ready: number(row.time_ready),
    time_shares: timeShares(row.time_shares),
    top_reason:
      (reason && {
        layer: layer(reason.layer),
        reason: text(reason.reason),
        exits_per_second: number(reason.exits_per_second),
        seconds_per_second: number(reason.seconds_per_second),
      }) ||
      null,
    top_device: (device && topDevice(device)) || null,
    finding:
      (finding && {
        advice: text(finding.advice),
        title: text(finding.title),
        severity: severity(finding.severity),
        cost: number(finding.cost),
      }) ||
      null,
  };
}

function deviceRate(row: Json): DeviceRate {
  return { ...topDevice(row), accesses: number(row.accesses) ?? 0 };
}

function topDevice(row: Json): TopDevice {
  return {
    layer: row.layer === 'kvm' || row.layer === 'qemu' ? row.layer : 'unknown',
    device: typeof row.device === 'string' ? text(row.device) : null,
    bus: row.bus === 'mmio' ? 'mmio' : 'pio',
    address: text(row.address),
    accesses_per_second: number(row.accesses_per_second),
  };
}

function timeShares(value: unknown): TimeShares {
  const json = objectOf(value);
  return Object.fromEntries(TIME_STATES.map((state) => [state, number(json[state])])) as TimeShares;
}

function bounded<Row>(value: unknown, toRow: (row: Json) => Row): Bounded<Row> {
  const json = objectOf(value);
  return { rows: list(json.rows).map(toRow), more: number(json.more) ?? 0 };
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.slice(0, MAX_ROWS).map(objectOf) : [];
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : '';
}

function layer(value: unknown): 'kvm' | 'qemu' {
  return value === 'kvm' ? 'kvm' : 'qemu';
}

function severity(value: unknown): 'warning' | 'info' {
  return value === 'warning' ? 'warning' : 'info';
}
