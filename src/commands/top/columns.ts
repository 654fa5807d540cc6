import type { VmRow } from '../../rates/vm-row.js';
import { printable } from '../../system/printable.js';

/** Shown for a figure that is not known. */
export const UNKNOWN = '?';

export interface Column {
  readonly title: string;
  /** Columns of the terminal: at least, and at most if the screen has room for the text. */
  readonly width: number;
  readonly maxWidth?: number;
  readonly align: 'left' | 'right';
  readonly text: (row: VmRow) => string;
}

/** From the left; a screen that is too narrow leaves out the last ones. */
export const COLUMNS: readonly Column[] = [
  { title: 'VM', width: 12, maxWidth: 32, align: 'left', text: ({ vm }) => vmName(vm) },
  { title: 'CPU', width: 3, align: 'right', text: ({ vcpus }) => (vcpus === null ? UNKNOWN : String(vcpus)) },
  { title: 'KVM/s', width: 6, align: 'right', text: (row) => brief(row.kvm_exits_per_second) },
  { title: 'QEMU/s', width: 6, align: 'right', text: (row) => brief(row.qemu_exits_per_second) },
  { title: 'toQEMU', width: 6, align: 'right', text: (row) => share(row.share_reaching_qemu, 1) },
  { title: 'gst', width: 4, align: 'right', text: ({ time_shares: { guest } }) => share(guest) },
  { title: 'kvm', width: 4, align: 'right', text: ({ time_shares: { kvm } }) => share(kvm) },
  { title: 'qemu', width: 4, align: 'right', text: ({ time_shares: { qemu } }) => share(qemu) },
  { title: 'rdy', width: 4, align: 'right', text: ({ time_shares: { ready } }) => share(ready) },
  { title: 'idle', width: 4, align: 'right', text: ({ time_shares: { idle } }) => share(idle) },
  {
    title: 'top reason',
    width: 10,
    maxWidth: 24,
    align: 'left',
    text: ({ top_reason: reason }) => (reason === null ? '' : reason.reason),
  },
  { title: 'top device', width: 10, maxWidth: 20, align: 'left', text: deviceText },
  {
    title: 'finding',
    width: 12,
    maxWidth: 60,
    align: 'left',
    text: ({ finding }) => (finding === null ? '' : `${finding.advice}${costText(finding.cost, ' ')}`),
  },
];

/** The busiest device, or its port or page if the device is not known. */
export function deviceText({ top_device: device }: VmRow): string {
  if (device === null) return '';
  return device.device ?? `${device.bus === 'pio' ? 'port' : 'page'} ${device.address}`;
}

/** ` 12 %` of a vCPU; '' if it is not known. */
export function costText(cost: number | null, before: string): string {
  return cost === null ? '' : `${before}${(cost * 100).toFixed(cost < 0.1 ? 1 : 0)}%`;
}

export function vmName(vm: string): string {
  return vm === '' ? '(unknown)' : printable(vm);
}

const UNITS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** At most six characters: `0.3`, `999`, `12.3k`, `1.23M`. A small rate is not shown as none. */
export function brief(value: number | null): string {
  if (value === null) return UNKNOWN;
  if (value === 0) return '0';
  if (value < 0.05) return '<0.1';
  if (value < 9.95) return value.toFixed(1);
  if (value < 9999.5) return value.toFixed(0);
  const [size, unit] = UNITS.find(([each]) => value >= each * 0.9995) ?? [1e3, 'k'];
  return `${(value / size).toPrecision(value / size >= 999.5 ? 4 : 3)}${unit}`;
}

/** `57%`; a small part is not shown as none. */
export function share(value: number | null, digits = 0): string {
  if (value === null) return UNKNOWN;
  if (value > 0 && value * 100 < 0.5 * 10 ** -digits) return `<${10 ** -digits}%`;
  return `${(value * 100).toFixed(digits)}%`;
}
