/**
 * Plots as SVG: charts side by side, lines with points, linear or logarithmic axes. The greys of text and lines are
 * readable on white and on black; where the viewer reports a light or dark theme, text gets more contrast.
 */
export interface Axis {
  /** Text beside the axis, including the unit. */
  readonly label: string;
  readonly log?: boolean;
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A limit that the measurements must stay below: drawn dashed and without points. */
  readonly isLimit?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

const CHART_WIDTH = 430;
const HEIGHT = 300;
const FRAME = { left: 62, right: 16, top: 34, bottom: 46 };
const PLOT_WIDTH = CHART_WIDTH - FRAME.left - FRAME.right;
const PLOT_HEIGHT = HEIGHT - FRAME.top - FRAME.bottom;
/** Number of line colours in {@link STYLE}: `.l0` to `.l2`. */
const COLOURS = 3;

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #6e7781; }
.title { font-size: 13px; font-weight: 600; }
.grid { stroke: #8c959f; stroke-opacity: 0.3; }
.limit { fill: none; stroke: #8c959f; stroke-dasharray: 5 4; }
.l0, .l1, .l2 { fill: none; stroke-width: 2; }
.l0 { stroke: #1f8fe5; } .l1 { stroke: #e07b1a; } .l2 { stroke: #2da44e; }
.p0 { fill: #1f8fe5; } .p1 { fill: #e07b1a; } .p2 { fill: #2da44e; }
@media (prefers-color-scheme: light) { text { fill: #24292f; } }
@media (prefers-color-scheme: dark) { text { fill: #d0d7de; } }`;

/** @param source file in docs/bench that holds the figures; a comment in the SVG names it */
export function plot(description: string, source: string, charts: readonly Chart[]): string {
  const width = CHART_WIDTH * charts.length;
  const size = `width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
    `<!-- Generated from docs/bench/${source} by "npm run docs". Do not edit. -->`,
    `<title>${escaped(description)}</title>`,
    `<style>${STYLE}\n</style>`,
    ...charts.map((chart, index) => `<g transform="translate(${index * CHART_WIDTH} 0)">\n${chartSvg(chart)}\n</g>`),
    '</svg>\n',
  ].join('\n');
}

function chartSvg({ title, x, y, lines }: Chart): string {
  const points = lines.flatMap((line) => line.points);
  const [xValues, yValues] = [points.map(([value]) => value), points.map(([, value]) => value)];
  const across = new Scale(x, xValues, FRAME.left, PLOT_WIDTH);
  // SVG counts y from the top, so the scale starts at the bottom and has a negative length.
  const up = new Scale(y, yValues, FRAME.top + PLOT_HEIGHT, -PLOT_HEIGHT);
  const [centreX, centreY] = [FRAME.left + PLOT_WIDTH / 2, FRAME.top + PLOT_HEIGHT / 2];
  return [
    `<text class="title" x="${FRAME.left}" y="18">${escaped(title)}</text>`,
    ...up.ticks.map((value) => horizontalGridLine(up.at(value), tickLabel(value))),
    ...across.ticks.map((value) => verticalGridLine(across.at(value), tickLabel(value))),
    `<text text-anchor="middle" x="${centreX}" y="${HEIGHT - 8}">${escaped(x.label)}</text>`,
    `<text text-anchor="middle" transform="translate(14 ${centreY}) rotate(-90)">${escaped(y.label)}</text>`,
    ...lines.map((line, index) => lineSvg(line, index % COLOURS, across, up)),
    ...(lines.length > 1 ? lines.map(legend) : []),
  ].join('\n');
}

function horizontalGridLine(y: number, text: string): string {
  return (
    `<path class="grid" d="M${FRAME.left} ${round(y)}h${PLOT_WIDTH}"/>` +
    `<text text-anchor="end" x="${FRAME.left - 6}" y="${round(y + 4)}">${text}</text>`
  );
}

function verticalGridLine(x: number, text: string): string {
  return (
    `<path class="grid" d="M${round(x)} ${FRAME.top}v${PLOT_HEIGHT}"/>` +
    `<text text-anchor="middle" x="${round(x)}" y="${FRAME.top + PLOT_HEIGHT + 17}">${text}</text>`
  );
}

function lineSvg({ points, isLimit = false }: Line, colour: number, across: Scale, up: Scale): string {
  const places = points.map(([x, y]) => [round(across.at(x)), round(up.at(y))] as const);
  const d = `M${places.map((place) => place.join(' ')).join('L')}`;
  if (isLimit) return `<path class="limit" d="${d}"/>`;
  const circles = places.map(([x, y]) => `<circle class="p${colour}" cx="${x}" cy="${y}" r="3"/>`);
  return [`<path class="l${colour}" d="${d}"/>`, ...circles].join('');
}

/** One entry of the legend. It stands at the top left, where rising lines leave room. */
function legend({ name, isLimit = false }: Line, index: number): string {
  const [x, y] = [FRAME.left + 10, FRAME.top + 14 + index * 16];
  return (
    `<path class="${isLimit ? 'limit' : `l${index % COLOURS}`}" d="M${x} ${y - 4}h18"/>` +
    `<text x="${x + 24}" y="${y}">${escaped(name)}</text>`
  );
}

const MAX_TICKS = 6;
/** The step between ticks is chosen as if the highest value were this factor higher, which leaves fewer ticks. */
const HEADROOM = 1.25;

/** Maps values to coordinates along one axis. */
class Scale {
  readonly ticks: readonly number[];
  readonly #log: boolean;
  /** Values at the two ends of the axis. */
  readonly #from: number;
  readonly #to: number;
  /** Coordinate of the axis's beginning, and its length, which is negative where coordinates fall. */
  readonly #start: number;
  readonly #length: number;

  constructor({ log = false }: Axis, values: readonly number[], start: number, length: number) {
    if (log && !values.every((value) => value > 0)) throw new Error('a logarithmic axis can only show values above 0');
    this.#log = log;
    const highest = Math.max(...values);
    this.ticks = log ? logTicks(Math.min(...values), highest) : linearTicks(highest);
    this.#from = log ? (this.ticks[0] ?? 1) : 0;
    this.#to = Math.max(this.ticks.at(-1) ?? 1, log ? highest : 0);
    this.#start = start;
    this.#length = length;
  }

  at(value: number): number {
    const share = this.#log ? Math.log(value / this.#from) / Math.log(this.#to / this.#from) : value / this.#to;
    return this.#start + share * this.#length;
  }
}

/**
 * Powers of ten, and 2 and 5 times each power if the range is short: from the last one below `lowest` to the first one
 * above `highest`.
 */
function logTicks(lowest: number, highest: number): number[] {
  const [from, to] = [Math.floor(Math.log10(lowest)), Math.ceil(Math.log10(highest))];
  const steps = to - from > MAX_TICKS / 2 ? [1] : [1, 2, 5];
  const all = Array.from({ length: to - from + 2 }, (_, index) =>
    steps.map((step) => step * 10 ** (from + index)),
  ).flat();
  return all.filter((_, index) => (all[index + 1] ?? 0) > lowest && (all[index - 1] ?? 0) < highest);
}

/** Multiples of a round step (1, 2 or 5 times a power of ten) from 0 to the first one at or above `highest`. */
function linearTicks(highest: number): number[] {
  const minStep = (highest * HEADROOM) / MAX_TICKS;
  const power = 10 ** Math.floor(Math.log10(minStep));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= minStep) ?? 10);
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, index) => index * step);
}

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e6, 'M'],
  [1e3, 'k'],
];

/** `250000` -> `250k` */
function tickLabel(value: number): string {
  const [unit, prefix] = PREFIXES.find(([factor]) => value >= factor) ?? [1, ''];
  return `${Number((value / unit).toPrecision(6))}${prefix}`;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
