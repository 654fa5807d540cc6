import type { CurrentRates } from '../rates/vm-rates.js';
import type { TopDevice, VmRow } from '../rates/vm-row.js';
import { printable } from '../system/printable.js';
import { formatRate, formatShare } from './figures.js';
import { escapeHtml } from './html-page.js';

/** A cell: its text, and what it is sorted by, which is not there for a figure that is not known. */
interface Cell {
  readonly text: string;
  readonly value?: string | number | null;
}

interface Column {
  readonly title: string;
  readonly hint: string;
  readonly kind: 'text' | 'number';
  /** True for what only some hosts have: the column is left out where no VM has it. */
  readonly isOptional?: boolean;
  /** @param unknown stands for a figure that is not known */
  readonly cell: (row: VmRow, unknown: string) => Cell;
}

const rateColumn = (
  title: string,
  hint: string,
  figure: (row: VmRow) => number | null,
  isOptional = false,
): Column => ({
  title,
  hint,
  kind: 'number',
  isOptional,
  cell: (row, unknown) => ({ text: formatRate(figure(row), unknown), value: figure(row) }),
});

const shareColumn = (title: string, hint: string, figure: (row: VmRow) => number | null): Column => ({
  title,
  hint,
  kind: 'number',
  cell: (row, unknown) => ({ text: formatShare(figure(row), unknown), value: figure(row) }),
});

const COLUMNS: readonly Column[] = [
  { title: 'VM', hint: 'name of the VM', kind: 'text', cell: ({ vm }) => ({ text: vmName(vm), value: vm }) },
  {
    title: 'vCPUs',
    hint: 'number of vCPU threads found',
    kind: 'number',
    cell: ({ vcpus }) => ({ text: String(vcpus ?? 'unknown'), value: vcpus }),
  },
  rateColumn('exits/s to KVM', 'VM exits per second', (row) => row.kvm_exits_per_second),
  rateColumn('exits/s to QEMU', 'exits per second that KVM passed on to QEMU', (row) => row.qemu_exits_per_second),
  {
    title: 'reaching QEMU',
    hint: 'share of the exits that KVM passed on to QEMU',
    kind: 'number',
    cell: (row, unknown) => {
      // The share of nothing is none: a VM without exits.
      const none = row.kvm_exits_per_second === 0 && row.qemu_exits_per_second !== null ? '–' : unknown;
      return { text: formatShare(row.share_reaching_qemu, none), value: row.share_reaching_qemu };
    },
  },
  rateColumn('I/O/s', "exits per second for ports, from KVM's own statistics", (row) => row.io_exits_per_second, true),
  rateColumn(
    'MMIO/s',
    "exits per second to QEMU for MMIO, from KVM's own statistics",
    (row) => row.mmio_exits_per_second,
    true,
  ),
  rateColumn(
    'halts/s',
    "times per second that a vCPU became idle, from KVM's own statistics",
    (row) => row.halts_per_second,
    true,
  ),
  shareColumn('in guest', 'part of the time of its vCPUs that they ran the guest', (row) => row.time_shares.guest),
  shareColumn('in KVM', 'part of the time of its vCPUs spent in KVM', (row) => row.time_shares.kvm),
  shareColumn('in QEMU', 'part of the time of its vCPUs spent in QEMU', (row) => row.time_shares.qemu),
  shareColumn(
    'ready',
    'part of the time in which its vCPUs were ready to run and waited for a host CPU',
    (row) => row.time_shares.ready,
  ),
  shareColumn('idle', 'part of the time in which the guest had nothing to do', (row) => row.time_shares.idle),
  {
    title: 'top reason',
    hint: 'the reason whose exits take most time',
    kind: 'text',
    cell: ({ top_reason: top }) =>
      top === null
        ? { text: '–' }
        : { text: `${top.reason} ${formatRate(top.exits_per_second, '')}/s`, value: top.reason },
  },
  {
    title: 'top device',
    hint: 'the device that is accessed most in QEMU, or in KVM if none is',
    kind: 'text',
    cell: ({ top_device: top }) =>
      top === null
        ? { text: '–' }
        : { text: `${deviceName(top)} ${formatRate(top.accesses_per_second, '')}/s`, value: deviceName(top) },
  },
  {
    title: 'what to change',
    hint: 'the finding that costs most',
    kind: 'text',
    cell: ({ finding }) => (finding === null ? { text: '–' } : { text: finding.title, value: finding.title }),
  },
];

export function vmName(vm: string): string {
  return vm === '' ? '(unknown)' : vm;
}

export function deviceName({ device, bus, address }: Pick<TopDevice, 'device' | 'bus' | 'address'>): string {
  return device ?? `${bus} ${address}`;
}

/** Address of the page of a VM. */
export function vmPath(vm: string): string {
  return `/vm?${new URLSearchParams({ name: vm })}`;
}

/** Cells of the table by row and column, as text. */
export function tableCells({ seconds, vms }: CurrentRates): string[][] {
  const unknown = unknownText(seconds);
  return vms.map((row) => COLUMNS.map(({ cell }) => cell(row, unknown).text));
}

/** The table of the VMs. Its last column is filled by the script of the page. */
export function vmTable({ seconds, vms }: CurrentRates): string {
  const unknown = unknownText(seconds);
  const columns = COLUMNS.filter(
    ({ isOptional, cell }) => isOptional !== true || vms.some((row) => cell(row, unknown).value !== null),
  );
  const headings = columns.map(
    ({ title, hint, kind }) =>
      `<th scope="col" class="${kind}" data-kind="${kind}" title="${escapeHtml(hint)}">${escapeHtml(title)}</th>`,
  );
  const rows = vms.map((row) => {
    const [, ...figures] = columns;
    const cells = figures.map(({ title, kind, cell }) => {
      const { text, value } = cell(row, unknown);
      const sortedBy = value == null ? '' : ` data-value="${escapeHtml(String(value))}"`;
      return `<td class="${kind}" data-label="${escapeHtml(title)}"${sortedBy}>${escapeHtml(printable(text))}</td>`;
    });
    const name = escapeHtml(printable(vmName(row.vm)));
    return `<tr data-key="${escapeHtml(row.vm)}"><th scope="row" data-value="${escapeHtml(row.vm)}"><a href="${escapeHtml(vmPath(row.vm))}">${name}</a></th>${cells.join('')}<td class="trend" data-label="last 15 minutes" data-filled-by-script></td></tr>`;
  });
  return `<div class="wide"><table id="vms" class="cards">
<caption>VMs</caption>
<thead><tr>${headings.join('')}<th scope="col" class="text">last 15 minutes</th></tr></thead>
<tbody id="vms-body">${rows.join('\n')}</tbody>
</table></div>`;
}

function unknownText(seconds: number | null): string {
  return seconds === null ? '…' : 'unknown';
}
