import type { LastingFinding } from '../advice/lasting-findings.js';
import { whoChanges } from '../advice/who-changes.js';
import { findingHead } from '../expose/report/findings.js';
import { printable } from '../system/printable.js';
import { escapeHtml } from './html-page.js';
import { vmPath } from './vm-table.js';

/**
 * The section about what to change, hidden if there is nothing.
 * @param isOverview true on the page of all VMs, where each finding is closed, and has a link to its VM
 */
export function findingsSection(findings: readonly LastingFinding[], isOverview: boolean): string {
  return `<section id="advice"${findings.length === 0 ? ' hidden' : ''}><h2>What to change</h2>
${findings.map((finding) => findingHtml(finding, isOverview)).join('\n')}</section>`;
}

function findingHtml(finding: LastingFinding, isOverview: boolean): string {
  const { vm, rule, changes } = finding;
  const toVm = isOverview ? `<a href="${escapeHtml(vmPath(vm))}">The VM in detail</a> · ` : '';
  const list = whoChanges(changes).map(([who, what]) => `<dt>${who}</dt><dd><code>${escapeHtml(what)}</code></dd>`);
  return `<details class="${rule.severity}" data-key="${escapeHtml(`${rule.id} ${vm}`)}"${isOverview ? '' : ' open'}>
<summary>${escapeHtml(printable(findingHead(finding)))}</summary>
<p>${escapeHtml(rule.cause)}</p><dl>${list.join('')}</dl><p>${toVm}<a href="/advice/${rule.id}">More about this finding</a></p></details>`;
}
