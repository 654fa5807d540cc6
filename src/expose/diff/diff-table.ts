import type { VmRow } from '../../snapshot/tables/row-table.js';
import { printable } from '../../system/printable.js';
import { Ranking } from '../report/ranking.js';
import { answer, footer } from '../report/report-table.js';
import { compareText, known, moreRows, percent, rate, section, textTable, time, vmCell } from '../report/text-table.js';
import { vmFigures } from '../report/vm-figures.js';
import type { Diff, IoDiff, ReasonDiff } from './diff.js';
import { FIGURES, riseCell, VM_FIGURES } from './figures.js';
import { newAndGone } from './new-and-gone.js';
import { compareRises, differenceOf, type Pair } from './pair.js';

/**
 * Both recordings in one line each, the main figures of each VM, and the reasons and addresses that changed:
 *
 *   before: 10 s: 3,436 VM exits (344/s), 72.3 % of them went on to QEMU (248/s).
 *   after: 10 s: 3,102 VM exits (310/s), 12.1 % of them went on to QEMU (37.5/s).
 *
 *   VM    figure               before  after   change
 *   vm-a  exits to QEMU per s     248   37.5  -84.9 %
 *
 * @param top how many VMs are shown, and how many rows of each in a table: those that changed most
 */
export function diffTable(diff: Diff, top: number): string {
  const ranking = new Ranking(
    diff.vms.map(({ vm }) => vm),
    top,
  );
  const often = diff.hasRates ? 'per s' : 'share';
  return [
    headOf(diff),
    vmTable(diff, top),
    section(
      `What changed by reason (exits ${diff.hasRates ? 'per second' : 'by share of the layer'}, mean time of one)`,
      ['VM', 'layer', 'reason', `${often} before`, 'after', 'change', 'time before', 'after', 'change'],
      mostChanged(diff.reasons, ranking),
      (row: ReasonDiff) => [
        vmCell(row.vm),
        row.layer,
        row.reason,
        ...pairCells(row.often, diff.hasRates ? rate : percent),
        // A recording without such exits has no time of one.
        ...pairCells(row.seconds, time, '-'),
      ],
      3,
    ),
    section(
      `What changed by port and MMIO page (accesses ${diff.hasRates ? 'per second' : 'by share'})`,
      ['VM', 'layer', 'access', 'address', 'device', `${often} before`, 'after', 'change'],
      mostChanged(diff.io, ranking),
      (row: IoDiff) => [
        vmCell(row.vm),
        row.layer,
        `${row.bus} ${row.direction}`,
        row.address,
        row.device,
        ...pairCells(row.often, diff.hasRates ? rate : percent),
      ],
      5,
    ),
    findingTable(diff, top),
    footerOf(diff),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

/** How long each recording is, and what only one of them has. */
function headOf(diff: Diff): string {
  const { before, after, hasRates, onlyBefore, onlyAfter } = diff;
  const only = (title: string, vms: readonly string[]) =>
    vms.length === 0 ? [] : [printable(`VMs only ${title}: ${vms.map(vmCell).join(', ')}.`)];
  const lines = [
    `before: ${answer(before, vmFigures(before, 'name'))}`,
    `after: ${answer(after, vmFigures(after, 'name'))}`,
    ...(hasRates ? [] : ['At least one of them has no times, so shares are compared instead of rates.']),
    ...only('before', onlyBefore),
    ...only('after', onlyAfter),
    ...newAndGone(diff),
  ];
  return `${lines.join('\n')}\n`;
}

function vmTable({ vms }: Diff, top: number): string {
  const rows = vms
    .slice(0, top)
    .flatMap(({ vm, vmBefore, figures }) =>
      VM_FIGURES.map((figure) => [
        vm === vmBefore ? vmCell(vm) : `${vmCell(vmBefore)} -> ${vmCell(vm)}`,
        FIGURES[figure].name,
        ...pairCells(figures[figure], FIGURES[figure].show),
      ]),
    );
  return `${textTable(['VM', 'figure', 'before', 'after', 'change'], rows, 2)}${moreRows(Math.max(0, vms.length - top))}`;
}

function pairCells(pair: Pair, show: (figure: number) => string, unknown?: string): string[] {
  return [known(pair.before, show, unknown), known(pair.after, show, unknown), riseCell(pair, unknown)];
}

/** The rows that changed most, whether up or down; those that rose most come first. */
function mostChanged<Row extends VmRow & { readonly layer: string; readonly often: Pair }>(
  rows: readonly Row[],
  ranking: Ranking,
): { shown: Row[]; hidden: number } {
  const changed = ranking.select(
    rows,
    (a, b) => Math.abs(differenceOf(b.often)) - Math.abs(differenceOf(a.often)),
    ({ layer }) => layer,
  );
  const { shown } = ranking.select(
    changed.shown,
    // What reached QEMU first: it costs most.
    (a, b) => compareText(b.layer, a.layer) || compareRises(a.often, b.often),
    ({ layer }) => layer,
  );
  return { shown, hidden: changed.hidden };
}

/** The findings, and what each costs: `gone` is what the change has saved. */
function findingTable({ findings }: Diff, top: number): string {
  if (findings.length === 0) return '';
  const cost = (vcpus: number | undefined) => known(vcpus, percent, '-');
  const rows = findings
    .slice(0, top)
    .map(({ vm, advice, state, cost: { before, after } }) => [
      vmCell(vm),
      advice,
      STATES[state],
      cost(before),
      cost(after),
    ]);
  const heading = ['VM', 'finding (docs/advice)', 'now', 'cost before', 'after'];
  return `What to change (cost in percent of a vCPU)\n\n${textTable(heading, rows, 3)}${moreRows(findings.length - rows.length)}`;
}

const STATES = { gone: 'gone', both: 'still there', new: 'new' } as const;

/** Lost events and malformed input of both recordings. */
function footerOf({ before, after }: Diff): string {
  return [
    ['before', footer(before)],
    ['after', footer(after)],
  ]
    .filter(([, text]) => text !== '')
    .map(([name, text]) => `In the recording ${name}:${text}`)
    .join('\n');
}
