/// <reference lib="dom" />
/** The overview: sorts and filters the table, refreshes it, and draws a sparkline for each VM. */
import type { OverviewHistory } from './history-answer.js';
import { read, refreshForEver } from './refresh.js';
import { drawSparkline } from './sparkline.js';

const SPARKLINES_MS = 15_000;

interface Order {
  readonly column: number;
  readonly isDescending: boolean;
}

const table = document.getElementById('vms') as HTMLTableElement;
const filter = document.getElementById('filter') as HTMLInputElement;
const shownCount = document.getElementById('shown') as HTMLElement;
const headings = [...table.querySelectorAll('thead th')] as HTMLTableCellElement[];
let order: Order | undefined;

/** Sorts and filters the rows of a table: that of this page, or that of its next version. */
function arrange(body: Element): void {
  const rows = [...body.children] as HTMLTableRowElement[];
  if (order !== undefined) {
    const { column, isDescending } = order;
    const cells = new Map(rows.map((row) => [row, row.cells[column]]));
    const sorted = rows.sort((a, b) => compare(cells.get(a), cells.get(b), isDescending));
    if (sorted.some((row, index) => body.children[index] !== row)) body.replaceChildren(...sorted);
  }
  const words = filter.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of rows) {
    const text = (row.textContent ?? '').toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) shown++;
  }
  shownCount.textContent = shown === rows.length ? '' : `${shown} of ${rows.length} VMs`;
}

/** Cells without a value come last, in either direction. */
function compare(a: HTMLTableCellElement | undefined, b: HTMLTableCellElement | undefined, isDescending: boolean) {
  const [valueA, valueB] = [a?.dataset.value, b?.dataset.value];
  if (valueA === undefined || valueB === undefined) return Number(valueA === undefined) - Number(valueB === undefined);
  const difference = Number(valueA) - Number(valueB);
  const ascending = Number.isNaN(difference) ? valueA.localeCompare(valueB, 'en', { numeric: true }) : difference;
  return isDescending ? -ascending : ascending;
}

function sortBy(column: number): void {
  const startsDescending = headings[column]?.dataset.kind === 'number';
  order = { column, isDescending: order?.column === column ? !order.isDescending : startsDescending };
  headings.forEach((heading, index) => {
    if (index !== column) heading.removeAttribute('aria-sort');
    else heading.setAttribute('aria-sort', order?.isDescending ? 'descending' : 'ascending');
  });
  arrange(table.tBodies[0] as Element);
}

/** Headings become buttons, which a keyboard reaches. */
function makeSortable(heading: HTMLTableCellElement, column: number): void {
  if (heading.dataset.kind === undefined) return;
  const button = document.createElement('button');
  button.type = 'button';
  button.append(...heading.childNodes);
  button.addEventListener('click', () => sortBy(column));
  heading.append(button);
}

async function showSparklines(): Promise<void> {
  const history = document.visibilityState === 'visible' ? await read<OverviewHistory>('/api/history') : undefined;
  const byVm = new Map(history?.vms.map((each) => [each.vm, each]));
  for (const row of table.tBodies[0]?.rows ?? []) {
    const [own, cell] = [byVm.get(row.dataset.key ?? ''), row.querySelector('.trend')];
    if (own !== undefined && cell !== null) drawSparkline(cell, history?.seconds_ago ?? [], own);
  }
  setTimeout(showSparklines, SPARKLINES_MS);
}

headings.forEach(makeSortable);
for (const control of document.querySelectorAll<HTMLElement>('.controls')) control.hidden = false;
filter.addEventListener('input', () => arrange(table.tBodies[0] as Element));
refreshForEver(['vms-body', 'state', 'advice'], (page) => {
  const body = page.getElementById('vms-body');
  if (body !== null) arrange(body);
});
void showSparklines();
