/// <reference lib="dom" />
import type UPlot from 'uplot';
import type { NamedPoints } from './history-answer.js';
import { Legend } from './legend.js';

/** Loaded by a script element of its own. */
declare const uPlot: typeof UPlot;

export interface PlotKind {
  /** Areas one on the other, from the first series on. */
  readonly isStacked?: boolean;
  readonly isLogarithmic?: boolean;
  /** Colours by name of the series; without one here, one of {@link PALETTE}. */
  readonly colours?: Readonly<Record<string, string>>;
  /** Highest value of the axis, if it is fixed. */
  readonly max?: number;
  readonly format: (value: number) => string;
}

const HEIGHT = 200;
/** Colours that people with any kind of colour vision tell apart (Okabe and Ito), on white and on black. */
const PALETTE = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8f8a1f', '#7a52a3'];
const GREY = '#808080';
/** Name of the series of all further names together. */
const OTHER = 'other';

/** A chart of several series over time, with a legend that shows the values at the cursor and hides series. */
export class Plot {
  readonly #box: HTMLElement;
  readonly #kind: PlotKind;
  readonly #legend: Legend;
  readonly #hidden = new Set<string>();
  #plot: UPlot | undefined;
  #names = '';
  /** Names of series in the order in which they appeared, which stays, whichever is the busiest now. */
  readonly #seen: string[] = [];
  #times: readonly number[] = [];
  #series: readonly NamedPoints[] = [];

  /** @param figure a figure element with a caption */
  constructor(figure: HTMLElement, kind: PlotKind) {
    this.#kind = kind;
    this.#box = figure.appendChild(document.createElement('div'));
    this.#box.className = 'plot';
    this.#box.tabIndex = 0;
    this.#box.setAttribute('role', 'img');
    const caption = figure.querySelector('figcaption')?.textContent ?? '';
    this.#box.setAttribute('aria-label', `${caption}: chart of the last 15 minutes; left and right move the cursor`);
    this.#box.addEventListener('keydown', (event) => this.#moveCursor(event));
    this.#legend = new Legend(figure, (name) => this.#toggle(name));
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw(true));
  }

  /** @param times seconds since 1970 */
  show(times: readonly number[], series: readonly NamedPoints[]): void {
    this.#times = times;
    for (const { name } of series) if (!this.#seen.includes(name) && name !== OTHER) this.#seen.push(name);
    this.#series = series.toSorted((a, b) => this.#rank(a.name) - this.#rank(b.name));
    this.#draw(false);
  }

  #draw(isNew: boolean): void {
    const shown = this.#series.filter(({ name }) => !this.#hidden.has(name));
    const names = shown.map(({ name }) => name).join('\0');
    const values = this.#kind.isStacked ? stacked(shown) : shown.map((each) => [...each.values]);
    const data = [[...this.#times], ...values];
    if (isNew || this.#plot === undefined || names !== this.#names) {
      this.#plot?.destroy();
      this.#plot = new uPlot(
        this.#options(this.#kind.isStacked ? shown.toReversed() : shown),
        data as UPlot.AlignedData,
        this.#box,
      );
      this.#names = names;
    } else this.#plot.setData(data as UPlot.AlignedData);
    this.#showLegend();
  }

  #options(shown: readonly NamedPoints[]): UPlot.Options {
    const style = getComputedStyle(this.#box);
    const { isStacked = false, isLogarithmic = false, max, format } = this.#kind;
    const axis = { stroke: style.color, grid: { stroke: style.borderColor, width: 1 }, ticks: { show: false } };
    const range: UPlot.Range.MinMax = [0, max ?? 1];
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: {
        y: isLogarithmic
          ? { distr: 3 }
          : { range: (_, __, dataMax) => (max === undefined ? [0, (dataMax || 1) * 1.05] : range) },
      },
      axes: [
        { ...axis, size: 30, values: (_, splits, __, ___, step) => splits.map((time) => clock(time, step)), space: 80 },
        { ...axis, size: 64, values: (_, splits) => splits.map((value) => (value === null ? '' : format(value))) },
      ],
      series: [
        {},
        ...shown.map(({ name }) => {
          const stroke = this.#colourOf(name);
          return {
            label: name,
            stroke,
            width: isStacked ? 0 : 2,
            points: { show: false },
            ...(isStacked && { fill: stroke }),
          };
        }),
      ],
      hooks: { setCursor: [() => this.#showLegend()] },
    };
  }

  /** Values at the cursor, or the latest ones. */
  #showLegend(): void {
    const index = this.#plot?.cursor.idx ?? this.#times.length - 1;
    const time = this.#times[index];
    this.#legend.show(
      time === undefined ? '' : clock(time),
      this.#series.map(({ name, values }) => {
        const value = values[index] ?? null;
        const text = value === null ? 'unknown' : this.#kind.format(value);
        return { name, text, colour: this.#colourOf(name), isShown: !this.#hidden.has(name) };
      }),
    );
  }

  #toggle(name: string): void {
    if (!this.#hidden.delete(name)) this.#hidden.add(name);
    this.#draw(false);
  }

  #moveCursor(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || this.#plot === undefined) return;
    event.preventDefault();
    const last = this.#times.length - 1;
    const index = Math.min(last, Math.max(0, (this.#plot.cursor.idx ?? last) + step));
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#times[index] ?? 0, 'x'), top: 0 });
  }

  #colourOf(name: string): string {
    const own = this.#kind.colours?.[name];
    if (own !== undefined) return own;
    return (name === OTHER ? undefined : PALETTE[this.#rank(name) % PALETTE.length]) ?? GREY;
  }

  #rank(name: string): number {
    return name === OTHER ? Number.POSITIVE_INFINITY : this.#seen.indexOf(name);
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#box.clientWidth), height: HEIGHT };
  }
}

/** Sums up to each series, from the highest one, which is drawn first, to the lowest one, which is drawn over it. */
function stacked(series: readonly NamedPoints[]): (number | null)[][] {
  const sums: (number | null)[][] = [];
  for (const { values } of series) {
    const below = sums[0] ?? [];
    sums.unshift(
      values.map((value, index) => {
        const sum = below[index] ?? null;
        return value === null ? sum : value + (sum ?? 0);
      }),
    );
  }
  return sums;
}

/** @param step seconds between two labels */
function clock(seconds: number, step = 1): string {
  const text = new Date(seconds * 1000).toLocaleTimeString([], {
    hourCycle: 'h23',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  return step % 60 === 0 ? text.replace(/:\d\d$/, '') : text;
}
