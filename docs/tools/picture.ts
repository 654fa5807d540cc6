/**
 * Draws docs/dashboard.png: npm run picture. Grafana is not needed: the demonstration runs beside a real Prometheus for as
 * long as its recording takes, the panels' own queries are asked, and uPlot (which Grafana draws with, too) draws the
 * answers in Chromium. The picture says so.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDemo } from '../../test/support/agent/demo-agent.js';
import { ROOT } from '../../test/support/paths.js';
import { DASHBOARDS, filled, type Panel, panelsOf } from '../../test/support/prometheus/dashboards.js';
import { Prometheus, type Series } from '../../test/support/prometheus/prometheus.js';

const VM = 'legacy-db';
/** The recording's length. */
const SECONDS = Number(process.argv[2] ?? 215);
const STEP = 2;
const RATE_INTERVAL = '12s';
const [WIDTH, HEIGHT] = [1400, 960];

/** What is drawn of the VM's dashboard, on a grid of its own: title, column, row, width, height. */
const CHOSEN = [
  ['Share reaching QEMU', 0, 0, 6, 2],
  ['Exits to KVM', 6, 0, 6, 2],
  ['Exits to QEMU', 12, 0, 6, 2],
  ['Time lost by the worst vCPU', 18, 0, 6, 2],
  ['Guest to KVM, by reason', 0, 2, 12, 5],
  ['KVM to QEMU, by reason', 12, 2, 12, 5],
  ['Accesses that reach QEMU, by device', 0, 7, 12, 5],
  ['Time outside the guest, by vCPU and layer', 12, 7, 12, 5],
  ['Quantiles in QEMU', 0, 12, 12, 4],
  ['Most time, by reason', 12, 12, 12, 4],
] as const;

export interface Drawn {
  readonly title: string;
  readonly type: string;
  readonly unit: string;
  readonly stacked: boolean;
  /** Column, row, width, height. */
  readonly place: readonly [number, number, number, number];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

const demo = await startDemo();
const prometheus = await Prometheus.start({ target: demo.address, rules: [] });
try {
  console.log(`the demonstration runs for ${SECONDS} s`);
  await sleep(SECONDS * 1000);
  const times = Array.from({ length: Math.floor(SECONDS / STEP) + 1 }, (_, index) => index * STEP);
  const panels = await Promise.all(CHOSEN.map(([title, ...place]) => drawn(title, place, times.length)));
  screenshot({ vm: VM, times, panels }, join(ROOT, 'docs/dashboard.png'));
} finally {
  await prometheus.stop();
  await demo.stop();
}

async function drawn(title: string, place: Drawn['place'], length: number): Promise<Drawn> {
  const dashboard = DASHBOARDS.find(({ uid }) => uid === 'kvm-exits-vm');
  const panel = dashboard === undefined ? undefined : panelsOf(dashboard).find((panel) => panel.title === title);
  if (panel === undefined) throw new Error(`no panel ${title}`);
  const targets = panel.targets ?? [];
  // Of a table its first column of numbers.
  const shown = panel.type === 'table' ? targets.slice(0, 1) : targets;
  const answers = await Promise.all(shown.map((target) => answered(target, length)));
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

async function answered(target: NonNullable<Panel['targets']>[number], length: number): Promise<Drawn['series']> {
  const query = filled(target.expr, { vm: VM, rateInterval: RATE_INTERVAL });
  const found =
    target.instant === true
      ? await prometheus.query(query.replaceAll(RATE_INTERVAL, `${SECONDS}s`))
      : await prometheus.queryRange(query, SECONDS, STEP);
  return found.map((series) => ({ name: name(target.legendFormat, series), values: atEachStep(series, length) }));
}

function name(legend: string, { metric }: Series): string {
  const shown = legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '').trim();
  // A table's legend is the name of its column: its rows are named by their labels.
  return shown === legend && Object.keys(metric).length > 0 ? Object.values(metric).join(' ') : shown;
}

/** One value a step, null where the series has none. */
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
    const page = readFileSync(join(ROOT, 'docs/tools/picture.html'), 'utf8')
      .replace('/*UPLOT-CSS*/', () => readFileSync(join(uplot, 'uPlot.min.css'), 'utf8'))
      .replace('/*UPLOT*/', () => readFileSync(join(uplot, 'uPlot.iife.min.js'), 'utf8'))
      .replace('/*DATA*/', () => `const DATA = ${JSON.stringify(data).replaceAll('<', '\\u003c')};`);
    writeFileSync(join(folder, 'page.html'), page);
    mkdirSync(join(ROOT, 'docs'), { recursive: true });
    const { status, stderr } = spawnSync(
      'chromium',
      [...flags(folder), `--screenshot=${file}`, join(folder, 'page.html')],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    if (status !== 0) throw new Error(`chromium ended with ${status}: ${stderr}`);
    console.log(`wrote ${file}, ${Math.round(statSync(file).size / 1024)} KiB`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function flags(folder: string): string[] {
  const quiet = ['background-networking', 'component-update', 'sync', 'quic', 'gpu'].map((what) => `--disable-${what}`);
  return [
    ...['--headless', '--no-sandbox', '--no-first-run', '--hide-scrollbars', ...quiet],
    ...[`--user-data-dir=${join(folder, 'profile')}`, `--window-size=${WIDTH},${HEIGHT}`, '--virtual-time-budget=3000'],
  ];
}
