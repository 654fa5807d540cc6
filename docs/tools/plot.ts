/**
 * Plots as SVG: panels side by side, lines with points, axes linear or logarithmic. Text and lines are of greys that can be read on white and
 * on black; where the reader's theme is known, better ones are taken.
 */
export interface Axis {
  /** With the unit. */
  readonly label: string;
  readonly log?: boolean;
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Not a measurement, but what is to be kept under. */
  readonly isLimit?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

const [PANEL_WIDTH, HEIGHT] = [430, 300];
const FRAME = { left: 62, right: 16, top: 34, bottom: 46 };
const [PLOT_WIDTH, PLOT_HEIGHT] = [PANEL_WIDTH - FRAME.left - FRAME.right, HEIGHT - FRAME.top - FRAME.bottom];
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

export function plot(description: string, panels: readonly Panel[]): string {
  const width = PANEL_WIDTH * panels.length;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" role="img">`;
  const body = panels.map(
    (panel, index) => `<g transform="translate(${index * PANEL_WIDTH} 0)">\n${drawn(panel)}\n</g>`,
  );
  return `${[head, `<title>${escaped(description)}</title>`, `<style>${STYLE}\n</style>`, ...body].join('\n')}\n</svg>\n`;
}

function drawn({ title, x, y, lines }: Panel): string {
  const points = lines.flatMap((line) => line.points);
  const across = new Scale(
    x,
    points.map(([value]) => value),
    FRAME.left,
    PLOT_WIDTH,
  );
  const up = new Scale(
    y,
    points.map(([, value]) => value),
    FRAME.top + PLOT_HEIGHT,
    -PLOT_HEIGHT,
  );
  return [
    `<text class="title" x="${FRAME.left}" y="18">${escaped(title)}</text>`,
    ...up.ticks.map((value) => row(up.at(value), short(value))),
    ...across.ticks.map((value) => column(across.at(value), short(value))),
    `<text text-anchor="middle" x="${FRAME.left + PLOT_WIDTH / 2}" y="${HEIGHT - 8}">${escaped(x.label)}</text>`,
    `<text text-anchor="middle" transform="translate(14 ${FRAME.top + PLOT_HEIGHT / 2}) rotate(-90)">${escaped(y.label)}</text>`,
    ...lines.map((line, index) => drawnLine(line, index % COLOURS, across, up)),
    ...(lines.length > 1 ? lines.map(legend) : []),
  ].join('\n');
}

function row(at: number, text: string): string {
  return (
    `<path class="grid" d="M${FRAME.left} ${round(at)}h${PLOT_WIDTH}"/>` +
    `<text text-anchor="end" x="${FRAME.left - 6}" y="${round(at + 4)}">${text}</text>`
  );
}

function column(at: number, text: string): string {
  return (
    `<path class="grid" d="M${round(at)} ${FRAME.top}v${PLOT_HEIGHT}"/>` +
    `<text text-anchor="middle" x="${round(at)}" y="${FRAME.top + PLOT_HEIGHT + 17}">${text}</text>`
  );
}

function drawnLine({ points, isLimit = false }: Line, colour: number, across: Scale, up: Scale): string {
  const places = points.map(([x, y]) => [round(across.at(x)), round(up.at(y))] as const);
  const path = `<path class="${isLimit ? 'limit' : `l${colour}`}" d="M${places.map((place) => place.join(' ')).join('L')}"/>`;
  if (isLimit) return path;
  return [path, ...places.map(([x, y]) => `<circle class="p${colour}" cx="${x}" cy="${y}" r="3"/>`)].join('');
}

/** At the top left, where lines that rise leave room. */
function legend({ name, isLimit = false }: Line, index: number): string {
  const [x, y] = [FRAME.left + 10, FRAME.top + 14 + index * 16];
  return (
    `<path class="${isLimit ? 'limit' : `l${index % COLOURS}`}" d="M${x} ${y - 4}h18"/>` +
    `<text x="${x + 24}" y="${y}">${escaped(name)}</text>`
  );
}

const [MOST_TICKS, HEADROOM] = [6, 1.25];

class Scale {
  readonly ticks: readonly number[];
  readonly #log: boolean;
  readonly #from: number;
  readonly #to: number;
  readonly #start: number;
  readonly #length: number;

  /** In the picture it begins at `start`, and is `length` long. */
  constructor({ log = false }: Axis, values: readonly number[], start: number, length: number) {
    if (log && !values.every((value) => value > 0))
      throw new Error('only what is above 0 has a place on a logarithmic axis');
    this.#log = log;
    const most = Math.max(...values);
    this.ticks = log ? powers(Math.min(...values), most) : multiples(most);
    this.#from = log ? (this.ticks[0] ?? 1) : 0;
    this.#to = Math.max(this.ticks.at(-1) ?? 1, log ? most : 0);
    this.#start = start;
    this.#length = length;
  }

  at(value: number): number {
    const share = this.#log ? Math.log(value / this.#from) / Math.log(this.#to / this.#from) : value / this.#to;
    return this.#start + share * this.#length;
  }
}

/** From the last one below the least to the first one above the most; where there is room also 2 and 5 times a power of ten. */
function powers(least: number, most: number): number[] {
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const steps = to - from > MOST_TICKS / 2 ? [1] : [1, 2, 5];
  const all = Array.from({ length: to - from + 2 }, (_, index) =>
    steps.map((step) => step * 10 ** (from + index)),
  ).flat();
  return all.filter((_, index) => (all[index + 1] ?? 0) > least && (all[index - 1] ?? 0) < most);
}

/** Of 1, 2 or 5 times a power of ten, from 0 to above the most. */
function multiples(most: number): number[] {
  const least = (most * HEADROOM) / MOST_TICKS;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= least) ?? 10);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => index * step);
}

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e6, 'M'],
  [1e3, 'k'],
];

function short(value: number): string {
  const [by, prefix] = PREFIXES.find(([least]) => value >= least) ?? [1, ''];
  return `${Number((value / by).toPrecision(6))}${prefix}`;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
