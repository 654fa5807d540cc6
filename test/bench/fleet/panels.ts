/** The queries of the Fleet dashboard, as Grafana sends them for a page that is 1,920 pixels wide. */
import { median } from '../../support/median.js';
import { DASHBOARDS, type Panel, panelsOf, type Target } from '../../support/prometheus/dashboards.js';
import { INTERVAL_S } from './hosts.js';

const UID = 'kvm-exits-fleet';
/** Without the menu and the margins of the page. */
const PAGE_PIXELS = 1840;
const COLUMNS = 24;
/** Grafana's steps in seconds, each with the length up to which it rounds to it. */
const STEPS = [
  [15, 12.5],
  [20, 17.5],
  [30, 25],
  [60, 45],
  [120, 90],
  [300, 180],
  [600, 450],
  [900, 750],
] as const;
const ROUNDS = 3;

export interface PanelTime {
  readonly panel: string;
  readonly queries: number;
  /** Seconds of all queries of the panel, one after the other, the first time. */
  readonly first: number;
  /** The median of some more rounds. */
  readonly median: number;
  readonly bytes: number;
}

export const PANELS: readonly Panel[] = panelsOf(
  DASHBOARDS.find(({ uid }) => uid === UID) ?? { ...({} as (typeof DASHBOARDS)[number]), panels: [] },
);

/** Time that each panel takes by itself, one after the other. */
export async function timePanels(api: string, hours: number): Promise<PanelTime[]> {
  const times: PanelTime[] = [];
  for (const panel of PANELS) {
    const first = await timePanel(api, panel, hours);
    const more: number[] = [];
    for (let round = 0; round < ROUNDS; round++) more.push((await timePanel(api, panel, hours)).seconds);
    const queries = (panel.targets ?? []).length;
    times.push({ panel: panel.title, queries, first: first.seconds, median: median(more), bytes: first.bytes });
  }
  return times;
}

/** Seconds until all panels have answered that ask at the same time, as when the dashboard is opened. */
export async function timeDashboard(api: string, hours: number): Promise<number> {
  const start = performance.now();
  await Promise.all(PANELS.map((panel) => timePanel(api, panel, hours)));
  return (performance.now() - start) / 1000;
}

async function timePanel(api: string, panel: Panel, hours: number): Promise<Answer> {
  let seconds = 0;
  let bytes = 0;
  for (const target of panel.targets ?? []) {
    const answer = await ask(api, target, panel.gridPos.w, hours);
    seconds += answer.seconds;
    bytes += answer.bytes;
  }
  return { seconds, bytes };
}

interface Answer {
  /** Time until the whole text has arrived. */
  readonly seconds: number;
  readonly bytes: number;
}

async function ask(api: string, { expr, range }: Target, width: number, hours: number): Promise<Answer> {
  const pixels = (PAGE_PIXELS * width) / COLUMNS;
  const wanted = (hours * 3600) / pixels;
  const [step] = STEPS.findLast(([, from]) => wanted >= from) ?? STEPS[0];
  const now = Date.now() / 1000;
  const query = expr
    .replaceAll('$__rate_interval', `${Math.max(step + INTERVAL_S, 4 * INTERVAL_S)}s`)
    .replaceAll('$job', '.+')
    .replaceAll('$instance', '.+');
  const end = Math.floor(now / step) * step;
  const parameters =
    range === true
      ? { query, start: String(end - hours * 3600), end: String(end), step: String(step) }
      : { query, time: String(now) };
  const path = range === true ? 'query_range' : 'query';
  const startMs = performance.now();
  const response = await fetch(`${api}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const text = await response.text();
  const seconds = (performance.now() - startMs) / 1000;
  if (!response.ok) throw new Error(`${expr}: ${text.slice(0, 500)}`);
  // Hosts that lose events are the only figure that is empty if all is well.
  if (!expr.includes('lost_events')) checkResult(text, expr, range === true ? end - hours * 3600 + step : undefined);
  return { seconds, bytes: text.length };
}

/** @param since the latest time, in seconds after 1970, at which a range has to begin */
function checkResult(text: string, expr: string, since?: number): void {
  const { data } = JSON.parse(text) as { data: { result: readonly { values?: readonly [number, string][] }[] } };
  if (data.result.length === 0) throw new Error(`no result of ${expr}`);
  const first = Math.min(...data.result.map(({ values = [] }) => values[0]?.[0] ?? Number.POSITIVE_INFINITY));
  if (since !== undefined && first > since) throw new Error(`${expr} has results only since ${first}`);
}
