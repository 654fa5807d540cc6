/** Pages for people. Names of VMs come from outside: everything that is not ours is escaped, and only the script and the style of the page itself run. */
import { CATALOGUE } from '../snapshot/catalogue.js';
import type { VmRow, VmsAnswer } from './vm-rates.js';

export interface PageOptions {
  readonly version: string;
  readonly telemetryPath: string;
  /** Said above all else. */
  readonly notice: string | undefined;
}

const REFRESH_SECONDS = 3;

export function contentSecurityPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `script-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** What the VMs do now. With JavaScript the table refreshes itself, without it the page does. */
export function landingPage(options: PageOptions, answer: VmsAnswer, nonce: string): string {
  const head = `<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>`;
  const body = `<p>How many VM exits end up in QEMU, of which VM, why, and what do they cost?</p>
<table>
<caption>VMs</caption>
<thead><tr>${COLUMNS.map(({ title, hint }) => `<th scope="col" title="${escaped(hint)}">${escaped(title)}</th>`).join('')}</tr></thead>
<tbody id="vms">${rowsOf(answer)}</tbody>
</table>
<p id="state">${escaped(stateOf(answer))}</p>
<ul>
<li><a href="${options.telemetryPath}">${options.telemetryPath}</a> for Prometheus</li>
<li><a href="/docs">/docs</a>: what each metric means</li>
<li><a href="/api/vms">/api/vms</a>: this table as JSON; <a href="/-/healthy">/-/healthy</a>, <a href="/-/ready">/-/ready</a></li>
</ul>`;
  return page(options, nonce, 'kvm-exit-exporter', head, `${body}\n<script nonce="${nonce}">${script()}</script>`);
}

export function docsPage(options: PageOptions, nonce: string): string {
  const rows = CATALOGUE.map(
    ({ name, type, labels, help }) =>
      `<tr><th scope="row"><code>${name}</code></th><td>${type}</td><td>${labels.join(', ')}</td><td class="text">${escaped(help)}</td></tr>`,
  );
  const body = `<p><a href="/">back</a></p>
<table><thead><tr><th>metric</th><th>type</th><th>labels</th><th>meaning</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`;
  return page(options, nonce, 'kvm-exit-exporter: metrics', '', body);
}

interface Column {
  readonly title: string;
  readonly hint: string;
  readonly text: (row: VmRow) => string;
}

const COLUMNS: readonly Column[] = [
  { title: 'VM', hint: 'name', text: ({ vm }) => (vm === '' ? '(unknown)' : vm) },
  { title: 'vCPUs', hint: 'vCPU threads known', text: ({ vcpus }) => String(vcpus) },
  { title: 'exits/s to KVM', hint: 'VM exits', text: (row) => amount(row.kvm_exits_per_second) },
  {
    title: 'exits/s to QEMU',
    hint: 'of these, those that went on to userspace',
    text: (row) => amount(row.qemu_exits_per_second),
  },
  { title: 'reaching QEMU', hint: 'share', text: (row) => percent(row.share_reaching_qemu) },
  {
    title: 'time lost',
    hint: 'time that vCPUs were away from their guest, idle time apart; 100 % is one whole vCPU',
    text: (row) => percent(row.time_outside_guest),
  },
  { title: 'in QEMU', hint: 'of this, in userspace', text: (row) => percent(row.time_in_qemu) },
];

/** The cells as text: the page without a script and the script's data are one thing. */
export function cellsOf({ vms }: VmsAnswer): string[][] {
  return vms.map((row) => COLUMNS.map(({ text }) => text(row)));
}

export function stateOf({ seconds, vms, lost_events, lost_events_per_second, sources }: VmsAnswer): string {
  const down = sources.filter(({ up }) => !up).map(({ source }) => source);
  return [
    vms.length === 0 ? 'No VM has been seen yet.' : '',
    seconds === null ? 'Rates come with the next look.' : `Over the last ${seconds.toFixed(1)} s.`,
    lost_events === 0
      ? 'No event lost.'
      : `${lost_events.toLocaleString('en')} events lost${lost_events_per_second ? `, ${amount(lost_events_per_second)} a second` : ''}: the figures are too low.`,
    down.length === 0 ? '' : `Not open: ${down.join(', ')}.`,
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

function rowsOf(answer: VmsAnswer): string {
  return cellsOf(answer)
    .map(
      ([vm = '', ...cells]) =>
        `<tr><th scope="row">${escaped(vm)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`,
    )
    .join('\n');
}

function amount(value: number | null): string {
  if (value === null) return '…';
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function percent(value: number | null): string {
  return value === null ? '–' : `${(100 * value).toFixed(1)} %`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Runs in the browser. Cells are set as text, never as HTML. */
function script(): string {
  return `
const refresh = async () => {
  try {
    const { cells, state } = await (await fetch('/api/vms')).json();
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
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: bold }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid #8886; font-variant-numeric: tabular-nums; vertical-align: top }
th:first-child, td.text, td.text ~ td { text-align: left }
tbody th { font-weight: normal; overflow-wrap: anywhere }
.notice { border-left: 4px solid #e0a800; background: #e0a80022; padding: .5rem 1rem }
footer { opacity: .7; font-size: .85rem }
`;

function page({ version, notice }: PageOptions, nonce: string, title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${head}
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
${notice === undefined ? '' : `<p class="notice">${escaped(notice)}</p>`}
${body}
<footer>version ${escaped(version)}</footer>
</body>
</html>
`;
}
