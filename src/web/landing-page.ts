import type { LastingFinding } from '../advice/lasting-findings.js';
import type { CurrentRates } from '../rates/vm-rates.js';
import type { VmRow } from '../rates/vm-row.js';
import { FINDINGS_SCRIPT, findingsHtml } from './findings-list.js';
import { escapeHtml, htmlPage, type PageOptions } from './html-page.js';

const REFRESH_SECONDS = 3;

/**
 * The page /: a table of the VMs and their current rates. With JavaScript the table refreshes itself, without it the
 * page reloads.
 */
export function landingPage(options: PageOptions, rates: CurrentRates, findings: readonly LastingFinding[]): string {
  const head = `<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>`;
  const body = `<p>How many VM exits reach QEMU, from which VM, and what they cost.</p>
<table>
<caption>VMs</caption>
<thead><tr>${COLUMNS.map(({ title, hint }) => `<th scope="col" title="${escapeHtml(hint)}">${escapeHtml(title)}</th>`).join('')}</tr></thead>
<tbody id="vms">${tableBody(rates)}</tbody>
</table>
<p id="state">${escapeHtml(statusLine(rates))}</p>
<section id="advice"${findings.length === 0 ? ' hidden' : ''}><h2>What to change</h2>
<div id="findings">${findingsHtml(findings)}</div></section>
<ul>
<li><a href="${options.telemetryPath}">${options.telemetryPath}</a>: metrics for Prometheus</li>
<li><a href="/docs">/docs</a>: the meaning of each metric</li>
<li><a href="/api/vms">/api/vms</a>: this table as JSON</li>
<li><a href="/api/advice">/api/advice</a>: what to change, as JSON</li>
<li><a href="/-/healthy">/-/healthy</a>, <a href="/-/ready">/-/ready</a>: health of the agent</li>
</ul>`;
  return htmlPage(options, { title: 'kvm-exit-exporter', head, body, script: REFRESH_SCRIPT });
}

interface Column {
  readonly title: string;
  readonly hint: string;
  /** @param unknown stands for a figure that is not known */
  readonly text: (row: VmRow, unknown: string) => string;
}

const COLUMNS: readonly Column[] = [
  { title: 'VM', hint: 'name of the VM', text: ({ vm }) => (vm === '' ? '(unknown)' : vm) },
  { title: 'vCPUs', hint: 'number of vCPU threads found', text: ({ vcpus }) => String(vcpus ?? 'unknown') },
  {
    title: 'exits/s to KVM',
    hint: 'VM exits per second',
    text: (row, unknown) => formatRate(row.kvm_exits_per_second, unknown),
  },
  {
    title: 'exits/s to QEMU',
    hint: 'exits per second that KVM passed on to QEMU',
    text: (row, unknown) => formatRate(row.qemu_exits_per_second, unknown),
  },
  {
    title: 'reaching QEMU',
    hint: 'share of the exits that KVM passed on to QEMU',
    // The share of nothing is none: a VM without exits.
    text: (row, unknown) =>
      formatShare(
        row.share_reaching_qemu,
        row.kvm_exits_per_second === 0 && row.qemu_exits_per_second !== null ? '–' : unknown,
      ),
  },
  {
    title: 'I/O/s',
    hint: "exits per second for ports, from KVM's own statistics",
    text: (row, unknown) => formatRate(row.io_exits_per_second, unknown),
  },
  {
    title: 'MMIO/s',
    hint: "exits per second to QEMU for MMIO, from KVM's own statistics",
    text: (row, unknown) => formatRate(row.mmio_exits_per_second, unknown),
  },
  {
    title: 'halts/s',
    hint: "times per second that a vCPU became idle, from KVM's own statistics",
    text: (row, unknown) => formatRate(row.halts_per_second, unknown),
  },
  {
    title: 'time lost',
    hint: 'time that vCPUs spent in KVM and QEMU instead of their guest; 100 % is one whole vCPU',
    text: (row, unknown) => formatShare(row.time_outside_guest, unknown),
  },
  {
    title: 'in QEMU',
    hint: 'part of the time lost that was spent in QEMU',
    text: (row, unknown) => formatShare(row.time_in_qemu, unknown),
  },
  {
    title: 'waiting for CPU',
    hint: 'time in which vCPUs were ready to run and waited for a host CPU; 100 % is one whole vCPU',
    text: (row, unknown) => formatShare(row.time_ready, unknown),
  },
];

/** Cells of the table by row and column, as text. Both the page and its script show these. */
export function tableCells({ seconds, vms }: CurrentRates): string[][] {
  const unknown = seconds === null ? '…' : 'unknown';
  return vms.map((row) => COLUMNS.map(({ text }) => text(row, unknown)));
}

/** The sentences below the table: period of the rates, lost events, sources that are not open. */
export function statusLine({ seconds, vms, lost_events, lost_events_per_second, sources }: CurrentRates): string {
  const closed = sources.filter(({ up }) => !up).map(({ source }) => source);
  return [
    vms.length === 0 ? 'No VM has been seen yet.' : '',
    seconds === null ? 'Rates follow in a few seconds.' : `Rates over the last ${seconds.toFixed(1)} s.`,
    lost_events === 0
      ? 'No events lost.'
      : `${lost_events.toLocaleString('en')} events lost${lost_events_per_second ? `, ${formatRate(lost_events_per_second, '')} per second` : ''}: the figures are too low.`,
    closed.length === 0 ? '' : `Not open: ${closed.join(', ')}.`,
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

function tableBody(rates: CurrentRates): string {
  return tableCells(rates)
    .map(
      ([vm = '', ...cells]) =>
        `<tr><th scope="row">${escapeHtml(vm)}</th>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`,
    )
    .join('\n');
}

function formatRate(value: number | null, unknown: string): string {
  if (value === null) return unknown;
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function formatShare(value: number | null, unknown: string): string {
  return value === null ? unknown : `${(100 * value).toFixed(1)} %`;
}

/** JavaScript for the browser. It sets cells as text, never as HTML, because names of VMs come from outside. */
export const REFRESH_SCRIPT = `${FINDINGS_SCRIPT}
const refresh = async () => {
  try {
    const { cells, state } = await (await fetch('/api/vms')).json();
    showFindings((await (await fetch('/api/advice')).json()).findings);
    document.getElementById('vms').replaceChildren(...cells.map((row) => {
      const tr = document.createElement('tr');
      row.forEach((text, index) => {
        const cell = tr.appendChild(document.createElement(index === 0 ? 'th' : 'td'));
        if (index === 0) cell.scope = 'row';
        cell.textContent = text;
      });
      return tr;
    }));
    document.getElementById('state').textContent = state;
  } catch {
    document.getElementById('state').textContent = 'The agent does not answer.';
  }
  setTimeout(refresh, ${REFRESH_SECONDS * 1000});
};
setTimeout(refresh, ${REFRESH_SECONDS * 1000});
`;
