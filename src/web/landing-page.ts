import type { LastingFinding } from '../advice/lasting-findings.js';
import { focusNote, samplingNote } from '../rates/estimates.js';
import type { CurrentRates } from '../rates/vm-rates.js';
import { printable } from '../system/printable.js';
import { formatRate } from './figures.js';
import { findingsSection } from './findings-list.js';
import { escapeHtml, htmlPage, type PageOptions } from './html-page.js';
import { vmTable } from './vm-table.js';

/** Without scripts a page reloads itself so often. */
export const RELOAD = '<noscript><meta http-equiv="refresh" content="5"></noscript>';
/** Findings of a large host: those that cost most. All of them are in /api/advice. */
const MAX_FINDINGS = 50;

/** The page /: a table of the VMs and their current rates, and what to change. */
export function landingPage(options: PageOptions, rates: CurrentRates, findings: readonly LastingFinding[]): string {
  const body = `<p>How many VM exits reach QEMU, from which VM, and what they cost.</p>
<p class="controls" hidden><label>Filter <input type="search" id="filter" autocomplete="off"></label> <span id="shown" role="status"></span></p>
${vmTable(rates)}
<p id="state">${escapeHtml(statusLine(rates))}</p>
${findingsSection(findings.slice(0, MAX_FINDINGS), true)}
<h2>More</h2>
<ul>
<li><a href="${options.telemetryPath}">${options.telemetryPath}</a>: metrics for Prometheus</li>
<li><a href="/docs">/docs</a>: the meaning of each metric</li>
<li><a href="/advice">/advice</a>: everything that can be found</li>
<li><a href="/api/vms">/api/vms</a>: this table as JSON</li>
<li><a href="/api/advice">/api/advice</a>: what to change, as JSON</li>
<li><a href="/-/healthy">/-/healthy</a>, <a href="/-/ready">/-/ready</a>: health of the agent</li>
</ul>`;
  return htmlPage(options, { title: 'kvm-exit-exporter', head: RELOAD, body, scripts: ['overview.js'] });
}

/** Sentences about the figures: period of the rates, lost events, sources that are not open. */
export function statusLine(rates: CurrentRates): string {
  const { seconds, vms, sampled_fraction, lost_events, lost_events_per_second, sources } = rates;
  const closed = sources.filter(({ up }) => !up).map(({ source }) => source);
  return [
    vms.length === 0 ? 'No VM has been seen yet.' : '',
    seconds === null ? 'Rates follow in a few seconds.' : `Rates over the last ${seconds.toFixed(1)} s.`,
    samplingNote(sampled_fraction),
    printable(focusNote(vms)),
    lost_events === 0
      ? 'No events lost.'
      : `${lost_events.toLocaleString('en')} events lost${lost_events_per_second ? `, ${formatRate(lost_events_per_second, '')} per second` : ''}: the figures are too low.`,
    closed.length === 0 ? '' : `Not open: ${closed.join(', ')}.`,
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}
