import type { LastingFinding } from '../advice/lasting-findings.js';
import { whoChanges } from '../advice/who-changes.js';
import { findingHead } from '../expose/report/findings.js';
import { printable } from '../system/printable.js';
import { escapeHtml } from './html-page.js';

/** A finding as the page shows it, as text. Both the page and its script show these. */
export interface FindingCells {
  readonly head: string;
  readonly cause: string;
  /** Name of the page below /advice. */
  readonly page: string;
  readonly changes: readonly (readonly [who: string, what: string])[];
}

export function findingCells(finding: LastingFinding): FindingCells {
  const { rule, changes } = finding;
  return { head: printable(findingHead(finding)), cause: rule.cause, page: rule.id, changes: whoChanges(changes) };
}

/** The content of the element `findings`. */
export function findingsHtml(findings: readonly LastingFinding[]): string {
  return findings
    .map(findingCells)
    .map(({ head, cause, page, changes }) => {
      const list = changes.map(([who, what]) => `<dt>${who}</dt><dd><code>${escapeHtml(what)}</code></dd>`);
      return `<details><summary>${escapeHtml(head)}</summary><p>${escapeHtml(cause)} <a href="/advice/${page}">More</a></p><dl>${list.join('')}</dl></details>`;
    })
    .join('\n');
}

/** JavaScript for the browser: shows the findings of /api/advice, and leaves open what is open. */
export const FINDINGS_SCRIPT = `
const showFindings = (findings) => {
  const list = document.getElementById('findings');
  const open = new Set([...list.querySelectorAll('details[open]')].map((details) => details.dataset.key));
  const add = (parent, tag, text) => {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text;
    return element;
  };
  list.replaceChildren(...findings.map(({ vm, advice, cells }) => {
    const details = document.createElement('details');
    details.dataset.key = advice + ' ' + vm;
    details.open = open.has(details.dataset.key);
    add(details, 'summary', cells.head);
    const cause = add(details, 'p', cells.cause + ' ');
    add(cause, 'a', 'More').href = '/advice/' + cells.page;
    const changes = details.appendChild(document.createElement('dl'));
    for (const [who, what] of cells.changes) {
      add(changes, 'dt', who);
      add(changes.appendChild(document.createElement('dd')), 'code', what);
    }
    return details;
  }));
  document.getElementById('advice').hidden = findings.length === 0;
};
`;
