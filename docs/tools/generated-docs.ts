/** Everything that `npm run docs` writes: tables and pages of docs/ and of runbooks, figures, plots, the man page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetReport } from '../../test/bench/fleet/report.js';
import type { SoakReport } from '../../test/soak/soak.js';
import { soakTables } from '../../test/soak/soak-tables.js';
import { advicePages } from './advice-pages.js';
import { adviceTable, EXPLAINED_ALERTS } from './advice-table.js';
import { answersTable } from './answers-table.js';
import { benchPlots } from './bench-plots.js';
import { chartValuesTable } from './chart-values-table.js';
import { fleetPanels, fleetRules, fleetRun, fleetSizes } from './fleet-tables.js';
import { withGeneratedBlock } from './generated-block.js';
import { keptRun } from './kept-run.js';
import { manPage } from './man-page.js';
import { metricsTable, processTable } from './metrics-table.js';
import { optionsTable } from './options-table.js';
import { overheadTable, type SideBySide } from './overhead-table.js';
import { type ScaleFigures, scaleTable } from './scale-table.js';
import { seriesTable } from './series-table.js';

type Block = readonly [name: string, content: () => string];

/** Page -> name and content of its generated blocks. */
const BLOCKS: Readonly<Record<string, readonly Block[]>> = {
  'docs/options.md': [['options', optionsTable]],
  'docs/metrics.md': [['metrics', metricsTable], run('otlp-cost'), ['process', processTable], ['series', seriesTable]],
  'docs/peers.md': [['answers', answersTable]],
  'docs/overhead.md': [
    ['overhead', () => overheadTable(bench<SideBySide>('side-by-side.json'))],
    run('decode-pages'),
    run('sampling-cost'),
    run('statistics-cost'),
    run('usage-cost'),
    run('memory-cost'),
    run('small-buffers'),
  ],
  'docs/fleet.md': [
    ['sizes', () => fleetSizes(fleet())],
    ['run', () => fleetRun(fleet())],
    ['panels', () => fleetPanels(fleet())],
    ['rules', () => fleetRules(fleet())],
  ],
  'docs/soak.md': [['soak', soakFigures]],
  'docs/scale.md': [['cost by series', () => scaleTable(bench<ScaleFigures>('cost-by-series.json'))]],
  'docs/live.md': [run('top-cost')],
  'docs/page.md': [run('history-cost')],
  'docs/install/packages.md': [run('executable-cost')],
  'docs/recordings.md': [run('report-trace-dat'), run('report-perf-data')],
  'deploy/helm/kvm-exit-exporter/README.md': [['values', chartValuesTable]],
  ...Object.fromEntries(EXPLAINED_ALERTS.map((alert) => [`deploy/runbooks/${alert}.md`, [adviceBlock(alert)]])),
};

const ROOT = join(import.meta.dirname, '../../..');

/** Path below the repository -> what the file has to contain. */
export function generatedDocs(): ReadonlyMap<string, string> {
  const pages = Object.entries(BLOCKS).map(([path, blocks]) => {
    const page = blocks.reduce(
      (text, [name, content]) => withGeneratedBlock(text, name, 'npm run docs', content()),
      readFileSync(join(ROOT, path), 'utf8'),
    );
    return [path, page] as const;
  });
  return new Map([...pages, ['docs/kvm-exit-exporter.1', manPage()], ...advicePages(), ...benchPlots(bench)]);
}

function adviceBlock(alert: string): Block {
  return ['findings', () => adviceTable(alert)];
}

/** @param name file of docs/bench/runs */
function run(name: string): Block {
  return [name, () => keptRun(readFileSync(join(ROOT, 'docs/bench/runs', `${name}.txt`), 'utf8'))];
}

function soakFigures(): string {
  const report = bench<SoakReport>('soak.json');
  return `${report.minutes} minutes with Node.js ${report.node}:\n\n${soakTables(report)}`;
}

function fleet(): FleetReport {
  return bench('fleet.json');
}

function bench<Figures>(file: string): Figures {
  return JSON.parse(readFileSync(join(ROOT, 'docs/bench', file), 'utf8'));
}
