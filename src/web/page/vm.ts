/// <reference lib="dom" />
/** The page of a VM: charts of the last 15 minutes, and figures that stay up to date. */
import type { NamedPoints, VmHistoryAnswer } from './history-answer.js';
import { Plot, type PlotKind } from './plot.js';
import { read, refreshForEver } from './refresh.js';

const CHARTS_MS = 5000;

const rate = (value: number) => `${compact(value)}/s`;
const share = (value: number) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;

const LAYERS = { 'to KVM': '#e69f00', 'to QEMU': '#d55e00' };
const STATES = {
  guest: '#009e73',
  KVM: '#e69f00',
  QEMU: '#d55e00',
  ready: '#cc79a7',
  idle: '#9aa5b1',
  unknown: '#56b4e9',
};
const QUANTILES = { 'KVM p50': '#e69f00', 'KVM p99': '#8f6400', 'QEMU p50': '#d55e00', 'QEMU p99': '#8a3c00' };

/** The charts, by id of their figure, which is a list of the answer. */
const CHARTS: Readonly<Partial<Record<keyof VmHistoryAnswer, PlotKind>>> = {
  exits: { format: rate, colours: LAYERS },
  time_shares: { format: share, colours: STATES, isStacked: true, max: 1 },
  qemu_reasons: { format: rate, isStacked: true },
  kvm_reasons: { format: rate, isStacked: true },
  devices: { format: rate, isStacked: true },
  durations: { format: duration, colours: QUANTILES, isLogarithmic: true },
  vcpus: { format: rate },
};

function compact(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
  return value.toLocaleString('en', { maximumSignificantDigits: value < 100 ? 3 : 4 });
}

function duration(seconds: number): string {
  if (seconds >= 1) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds >= 1e-3) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds >= 1e-6) return `${Number((seconds * 1e6).toPrecision(3))} µs`;
  return `${Number((seconds * 1e9).toPrecision(3))} ns`;
}

const plots = new Map<string, Plot>();

async function showCharts(): Promise<void> {
  const answer =
    document.visibilityState === 'visible' ? await read<VmHistoryAnswer>(`/api/history${location.search}`) : undefined;
  if (answer !== undefined) show(answer);
  setTimeout(showCharts, CHARTS_MS);
}

function show(answer: VmHistoryAnswer): void {
  const nowSeconds = Date.now() / 1000;
  const times = answer.seconds_ago.map((seconds) => nowSeconds - seconds);
  const missing = document.getElementById('missing');
  if (missing !== null) missing.textContent = answer.missing ?? '';
  for (const [id, kind] of Object.entries(CHARTS)) {
    const figure = document.getElementById(id);
    const series = answer[id as keyof VmHistoryAnswer] as readonly NamedPoints[];
    if (figure === null) continue;
    figure.hidden = series.length === 0;
    if (figure.hidden) continue;
    const plot = plots.get(id) ?? new Plot(figure, kind);
    plots.set(id, plot);
    plot.show(times, series);
  }
}

refreshForEver(['figures', 'state', 'advice', 'tables']);
void showCharts();
