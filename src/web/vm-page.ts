import type { LastingFinding } from '../advice/lasting-findings.js';
import { estimate, samplingNote } from '../rates/estimates.js';
import type { Bounded } from '../rates/period.js';
import type { VmDetail } from '../rates/vm-detail.js';
import { printable } from '../system/printable.js';
import { formatRate, formatSeconds, formatShare } from './figures.js';
import { findingsSection } from './findings-list.js';
import { escapeHtml, htmlPage, type PageOptions } from './html-page.js';
import { RELOAD } from './landing-page.js';
import { deviceName, vmName } from './vm-table.js';

/** The charts, by the list of /api/history that each shows. */
const CHARTS = {
  exits: 'Exits by layer',
  time_shares: 'Where the time of the vCPUs goes',
  qemu_reasons: 'Exits to QEMU, by reason',
  kvm_reasons: 'Exits to KVM, by reason',
  devices: 'Accesses that reach QEMU, by device',
  durations: 'Durations of exits: p50 and p99',
  vcpus: 'Exits by vCPU',
} as const;

const IN_FOCUS = 'In focus: all events of this VM are counted, although other VMs are sampled.';

/**
 * The page /vm?name=NAME. Figures are text; with JavaScript, charts of the last 15 minutes come with them.
 * @param findings of all VMs
 */
export function vmPage(options: PageOptions, detail: VmDetail, findings: readonly LastingFinding[]): string {
  const { seconds, sampled_fraction, vm } = detail;
  const unknown = seconds === null ? '…' : 'unknown';
  const period = seconds === null ? 'Rates follow in a few seconds.' : `Rates over the last ${seconds.toFixed(1)} s.`;
  const figures = Object.entries(CHARTS).map(
    ([id, title]) => `<figure id="${id}" hidden><figcaption>${escapeHtml(title)}</figcaption></figure>`,
  );
  const body = `<p><a href="/">All VMs</a> · <a href="/api/vm?${escapeHtml(new URLSearchParams({ name: vm.vm }).toString())}">this VM as JSON</a></p>
<dl id="figures" class="key-figures">${keyFigures(detail, unknown)}</dl>
<p id="state">${[period, samplingNote(sampled_fraction), vm.focused ? IN_FOCUS : ''].join(' ').trim()}</p>
${findingsSection(
  findings.filter((finding) => finding.vm === vm.vm),
  false,
)}
<h2>The last 15 minutes</h2>
<noscript><p>The charts need JavaScript.</p></noscript>
<p id="missing" class="faint" role="status"></p>
<div class="charts">${figures.join('\n')}</div>
<h2>Now</h2>
<div id="tables" class="tables">${tables(detail, unknown)}</div>`;
  const title = printable(vmName(vm.vm));
  const assets = { styles: ['uplot.css'], scripts: ['uplot.js', 'vm.js'] };
  return htmlPage(options, { title, head: RELOAD, body, ...assets });
}

function keyFigures({ vm, sampled_fraction }: VmDetail, unknown: string): string {
  const { time_shares: shares } = vm;
  const mark = sampled_fraction === null ? '' : '~';
  const figures = [
    ['vCPUs', String(vm.vcpus ?? 'unknown')],
    ['exits to KVM', mark + perSecond(vm.kvm_exits_per_second, unknown)],
    ['exits to QEMU', perSecond(vm.qemu_exits_per_second, unknown)],
    ['reaching QEMU', formatShare(vm.share_reaching_qemu, vm.kvm_exits_per_second === 0 ? '–' : unknown)],
    ['time in guest', formatShare(shares.guest, unknown)],
    ['in KVM', formatShare(shares.kvm, unknown)],
    ['in QEMU', formatShare(shares.qemu, unknown)],
    ['ready', formatShare(shares.ready, unknown)],
    ['idle', formatShare(shares.idle, unknown)],
    ['not known', formatShare(shares.unknown, '–')],
  ];
  return figures.map(([name, text]) => `<div><dt>${name}</dt><dd>${text}</dd></div>`).join('');
}

function tables({ sampled_fraction, reasons, devices, vcpus, causes, purposes }: VmDetail, unknown: string): string {
  return [
    table(
      'Exits by reason',
      ['layer', 'reason', 'per second', 'vCPUs busy', 'mean', 'p50', 'p99'],
      reasons,
      2,
      (row) => [
        row.layer,
        row.reason,
        estimate(formatRate(row.exits_per_second, unknown), row, sampled_fraction),
        formatShare(row.seconds_per_second, unknown),
        formatSeconds(row.mean_seconds, unknown),
        formatSeconds(row.p50_seconds, unknown),
        formatSeconds(row.p99_seconds, unknown),
      ],
    ),
    table('Devices', ['layer', 'device', 'busiest address', 'accesses per second'], devices, 3, (row) => [
      row.layer,
      deviceName(row),
      `${row.bus} ${row.address}`,
      formatRate(row.accesses_per_second, unknown),
    ]),
    table(
      'vCPUs',
      ['vCPU', 'to KVM/s', 'to QEMU/s', 'guest', 'KVM', 'QEMU', 'ready', 'idle', 'not known'],
      vcpus,
      1,
      (row) => [
        row.vcpu === '' ? '(unknown)' : row.vcpu,
        formatRate(row.kvm_exits_per_second, unknown),
        formatRate(row.qemu_exits_per_second, unknown),
        ...(['guest', 'kvm', 'qemu', 'ready', 'idle'] as const).map((state) =>
          formatShare(row.time_shares?.[state] ?? null, unknown),
        ),
        formatShare(row.time_shares?.unknown ?? null, '–'),
      ],
    ),
    table('What led to QEMU', ['hardware exit', 'exit to QEMU', 'per second'], causes, 2, (row) => [
      row.reason,
      row.userspace_reason,
      formatRate(row.exits_per_second, unknown),
    ]),
    table('What other exits were for', ['event', 'which', 'per second'], purposes, 2, (row) => [
      row.event,
      row.which,
      formatRate(row.times_per_second, unknown),
    ]),
  ].join('\n');
}

function perSecond(value: number | null, unknown: string): string {
  return value === null ? unknown : `${formatRate(value, unknown)}/s`;
}

/** @param firstNumber the columns from this one on are numbers */
function table<Row>(
  title: string,
  heading: readonly string[],
  { rows, more }: Bounded<Row>,
  firstNumber: number,
  cells: (row: Row) => string[],
): string {
  if (rows.length === 0) return '';
  const kind = (column: number) => (column < firstNumber ? 'text' : 'number');
  const head = heading.map((text, column) => `<th scope="col" class="${kind(column)}">${text}</th>`);
  const body = rows.map((row) => {
    const [first = '', ...figures] = cells(row).map((text) => escapeHtml(printable(text)));
    const rest = figures.map(
      (text, index) => `<td class="${kind(index + 1)}" data-label="${heading[index + 1]}">${text}</td>`,
    );
    return `<tr><th scope="row">${first}</th>${rest.join('')}</tr>`;
  });
  const hidden = more === 0 ? '' : `<p class="faint">and ${more.toLocaleString('en')} more</p>`;
  return `<div><table class="cards"><caption>${title}</caption><thead><tr>${head.join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table>${hidden}</div>`;
}
