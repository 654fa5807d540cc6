import { known, rate } from '../../expose/report/text-table.js';
import type { CurrentRates } from '../../rates/vm-rates.js';
import type { VmRow } from '../../rates/vm-row.js';
import { fit, widthOf } from '../../terminal/fit.js';
import { bold, reversed } from '../../terminal/styles.js';
import { brief, COLUMNS, type Column, costText, deviceText, share, vmName } from './columns.js';
import { SORTS } from './sort.js';
import { selectedIndex, shownRows, type UiState } from './ui-state.js';

/** Lines of the list that are no rows of VMs: two of the head, two of the foot. */
const OTHER_LINES = 4;

export interface Screen {
  readonly columns: number;
  readonly rows: number;
}

/** Rows of VMs that fit on a screen. */
export function listRows({ rows }: Screen): number {
  return Math.max(1, rows - OTHER_LINES);
}

/** The list of the VMs: a title, the head of the table, rows, and what is to say about the selected VM. */
export function listView(rates: CurrentRates, state: UiState, screen: Screen): string[] {
  const shown = shownRows(rates.vms, state);
  const index = selectedIndex(shown, state);
  const rows = listRows(screen);
  const first = Math.max(0, Math.min(index - Math.floor(rows / 2), shown.length - rows));
  const table = tableOf(rates.vms, screen.columns);
  const lines = shown
    .slice(first, first + rows)
    .map((row, line) => (first + line === index ? reversed(rowText(row, table)) : rowText(row, table)));
  const blank = Array.from({ length: rows - lines.length }, () => '');
  if (shown.length === 0) blank[0] = fit(noVms(rates, state), screen.columns);
  const about = shown[index] === undefined ? '' : aboutVm(shown[index]);
  return [totals(rates, screen.columns), bold(headText(table)), ...lines, ...blank, fit(about, screen.columns)];
}

function noVms({ vms }: CurrentRates, { filter }: UiState): string {
  return vms.length === 0 ? 'No VM has been seen yet.' : `No VM has "${filter}" in its name (Esc shows all).`;
}

/** The whole table, for programs and for pipes: no column is cut. */
export function listText({ vms }: CurrentRates, state: UiState): string[] {
  const table = tableOf(vms, Number.POSITIVE_INFINITY);
  return [headText(table), ...shownRows(vms, state).map((row) => rowText(row, table))].map((line) => line.trimEnd());
}

type SizedColumn = Column & { readonly columns: number };

/** The columns that fit. Each is as wide as its texts, as far as there is room. */
function tableOf(rows: readonly VmRow[], columns: number): SizedColumn[] {
  let used = -1;
  const fitting = COLUMNS.filter(({ width }) => {
    used += width + 1;
    return used <= columns;
  });
  let room = columns - fitting.reduce((sum, { width }) => sum + width + 1, -1);
  return fitting.map((column) => {
    const { width, text, title, maxWidth = width } = column;
    const limit = columns === Number.POSITIVE_INFINITY && maxWidth > width ? 500 : maxWidth;
    const wanted = limit === width ? width : rows.reduce((sum, row) => Math.max(sum, widthOf(text(row))), title.length);
    const more = Math.max(0, Math.min(room, limit - width, wanted - width));
    room -= more;
    return { ...column, columns: width + more };
  });
}

function headText(table: readonly SizedColumn[]): string {
  return table.map(({ title, columns, align }) => fit(title, columns, align)).join(' ');
}

function rowText(row: VmRow, table: readonly SizedColumn[]): string {
  return table.map(({ text, columns, align }) => fit(text(row), columns, align)).join(' ');
}

function totals({ vms, seconds, sampled_fraction, lost_events, sources }: CurrentRates, columns: number): string {
  const sum = (figure: (row: VmRow) => number | null) => {
    const figures = vms.map(figure).filter((each) => each !== null);
    return figures.length === 0 ? null : figures.reduce((all, each) => all + each, 0);
  };
  const closed = sources.filter(({ up }) => !up).map(({ source }) => source);
  const focused = vms.filter((row) => row.focused).length;
  const parts = [
    `${vms.length} VMs`,
    `${sampled_fraction === null ? '' : '~'}${brief(sum((row) => row.kvm_exits_per_second))} exits/s to KVM`,
    `${brief(sum((row) => row.qemu_exits_per_second))} to QEMU`,
    seconds === null ? 'rates follow' : `over ${seconds.toFixed(1)} s`,
    ...(sampled_fraction === null ? [] : [`~ estimated from ${share(sampled_fraction, 1)} of the time`]),
    ...(focused === 0 ? [] : [`${focused} in focus`]),
    ...(lost_events === 0 ? [] : [`${brief(lost_events)} events lost: too low`]),
    ...(closed.length === 0 ? [] : [`not open: ${closed.join(', ')}`]),
  ];
  return fit(parts.join(', '), columns);
}

/** What the columns of a narrow screen leave out. */
function aboutVm(row: VmRow): string {
  const { vm, top_reason: reason, top_device: device, finding } = row;
  const parts = [
    ...(finding === null ? [] : [`${finding.title}${costText(finding.cost, ', costs ')}`]),
    ...(reason === null
      ? []
      : [
          `${reason.reason} ${known(reason.exits_per_second ?? undefined, rate)}/s${costText(reason.seconds_per_second, ', ')}`,
        ]),
    ...(device === null ? [] : [`${deviceText(row)} ${known(device.accesses_per_second ?? undefined, rate)}/s`]),
    ...(row.share_reaching_qemu === null ? [] : [`${share(row.share_reaching_qemu, 1)} reach QEMU`]),
  ];
  return `${vmName(vm)}: ${parts.join('; ') || 'nothing to say'}`;
}

/** The line above the list: where the figures come from, and how the list is made. */
export function titleText(name: string, state: UiState, problem: string, columns: number): string {
  const { sort, isReversed, filter, isTyping, isPaused, intervalMs } = state;
  const parts = [
    `top: ${name}`,
    ...(isPaused ? ['PAUSED'] : []),
    `every ${intervalMs / 1000} s`,
    `by ${SORTS[sort].title}${isReversed ? ', reversed' : ''}`,
    ...(filter !== '' && !isTyping ? [`names with "${filter}"`] : []),
  ];
  return bold(fit(problem === '' ? parts.join(' - ') : `NO ANSWER, trying again: ${problem}`, columns));
}
