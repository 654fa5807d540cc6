/**
 * `npm run picture [-- SECONDS]`: draws docs/dashboard.png without Grafana. A real Prometheus scrapes the demo for some
 * rounds of its recording and answers the panels' own queries. uPlot, the library that Grafana's graphs use,
 * draws the answers in Chromium. The picture says that it is not a screenshot of Grafana.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDemo } from '../../../test/support/agent/start-demo.js';
import { ROOT } from '../../../test/support/paths.js';
import { DASHBOARDS, filled, type Panel, panelsOf } from '../../../test/support/prometheus/dashboards.js';
import { Prometheus, type Series } from '../../../test/support/prometheus/prometheus.js';

const VM = 'legacy-db';
/** Ten rounds of the demo's recording. */
const SECONDS = Number(process.argv[2] ?? 215);
/** Seconds between two points of a graph. */
const STEP = 2;
const RATE_INTERVAL = '12s';
const WIDTH = 1400;
const HEIGHT = 960;

/** The panels of the VM dashboard that are drawn, and their places: title, column, row, width, height. */
const CHOSEN_PANELS = [
  ['Share reaching QEMU', 0, 0, 6, 2],
  ['Exits to KVM', 6, 0, 6, 2],
  ['Exits to QEMU', 12, 0, 6, 2],
  ['Time lost by the worst vCPU', 18, 0, 6, 2],
  ['Guest to KVM, by reason', 0, 2, 12, 5],
  ['KVM to QEMU, by reason', 12, 2, 12, 5],
  ['Accesses that reach QEMU, by device', 0, 7, 12, 5],
  ['Where the time of the vCPUs goes', 12, 7, 12, 5],
  ['Quantiles in QEMU', 0, 12, 12, 4],
  ['Most time, by reason', 12, 12, 12, 4],
] as const;

/** One panel with its data, as dashboard.html draws it. */
interface DrawnPanel {
  readonly title: string;
  readonly type: string;
  readonly unit: string;
  readonly stacked: boolean;
  readonly place: readonly [number, number, number, number];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

const demo = await startDemo();
const prometheus = await Prometheus.start({ target: demo.address, rules: [] });
try {
  console.log(`the demo runs for ${SECONDS} s`);
  await sleep(SECONDS * 1000);
  const times = Array.from({ length: Math.floor(SECONDS / STEP) + 1 }, (_, index) => index * STEP);
  const panels = await Promise.all(CHOSEN_PANELS.map(([title, ...place]) => draw(title, place, times.length)));
  screenshot({ vm: VM, times, panels }, join(ROOT, 'docs/dashboard.png'));
} finally {
  await prometheus.stop();
  await demo.stop();
}

async function draw(title: string, place: DrawnPanel['place'], length: number): Promise<DrawnPanel> {
  const dashboard = DASHBOARDS.find(({ uid }) => uid === 'kvm-exits-vm');
  const panel = dashboard === undefined ? undefined : panelsOf(dashboard).find((panel) => panel.title === title);
  if (panel === undefined) throw new Error(`the VM dashboard has no panel "${title}"`);
  const targets = panel.targets ?? [];
  // Only the first column of numbers of a table is drawn.
  const shown = panel.type === 'table' ? targets.slice(0, 1) : targets;
  const answers = await Promise.all(shown.map((target) => seriesOf(target, length)));
  const { defaults, overrides } = panel.fieldConfig;
  const units = overrides.flatMap(({ properties }) => properties).filter(({ id }) => id === 'unit');
  return {
    title,
    type: panel.type,
    unit: String(units[0]?.value ?? defaults.unit),
    stacked: JSON.stringify(defaults).includes('"stacking":{"group":"A","mode":"normal"'),
    place,
    series: answers.flat(),
  };
}

async function seriesOf(target: NonNullable<Panel['targets']>[number], length: number): Promise<DrawnPanel['series']> {
  const query = filled(target.expr, { vm: VM, rateInterval: RATE_INTERVAL });
  const found =
    target.instant === true
      ? await prometheus.query(query.replaceAll(RATE_INTERVAL, `${SECONDS}s`))
      : await prometheus.queryRange(query, SECONDS, STEP);
  return found.map((series) => ({ name: legendOf(target.legendFormat, series), values: atEachStep(series, length) }));
}

function legendOf(format: string, { metric }: Series): string {
  const text = format.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '').trim();
  // The format of a table is the name of a column, without labels: its rows are named by their labels instead.
  return text === format && Object.keys(metric).length > 0 ? Object.values(metric).join(' ') : text;
}

/** One value per step; null where the series has no finite value. */
function atEachStep({ values, steps }: Series, length: number): (number | null)[] {
  const all = Array<number | null>(length).fill(null);
  for (const [index, step] of steps.entries()) {
    const value = values[index] ?? Number.NaN;
    if (step < length) all[step] = Number.isFinite(value) ? value : null;
  }
  return all;
}

function screenshot(data: object, file: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'picture-'));
  try {
    const uplot = join(ROOT, 'node_modules/uplot/dist');
    const page = readFileSync(join(ROOT, 'docs/tools/picture/dashboard.html'), 'utf8')
      .replace('/*UPLOT-CSS*/', () => readFileSync(join(uplot, 'uPlot.min.css'), 'utf8'))
      .replace('/*UPLOT*/', () => readFileSync(join(uplot, 'uPlot.iife.min.js'), 'utf8'))
      .replace('/*DATA*/', () => `const DATA = ${JSON.stringify(data).replaceAll('<', '\\u003c')};`);
    writeFileSync(join(folder, 'page.html'), page);
    mkdirSync(join(ROOT, 'docs'), { recursive: true });
    const { status, stderr } = spawnSync(
      'chromium',
      [...chromiumFlags(folder), `--screenshot=${file}`, join(folder, 'page.html')],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    if (status !== 0) throw new Error(`chromium exited with status ${status}: ${stderr}`);
    console.log(`wrote ${file}, ${Math.round(statSync(file).size / 1024)} KiB`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function chromiumFlags(folder: string): string[] {
  const features = ['background-networking', 'component-update', 'sync', 'quic', 'gpu'];
  const quiet = features.map((feature) => `--disable-${feature}`);
  return [
    ...['--headless', '--no-sandbox', '--no-first-run', '--hide-scrollbars', ...quiet],
    ...[`--user-data-dir=${join(folder, 'profile')}`, `--window-size=${WIDTH},${HEIGHT}`, '--virtual-time-budget=3000'],
  ];
}
