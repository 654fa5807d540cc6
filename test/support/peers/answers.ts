/** Which queries of the dashboards have a result, by the way on which the figures came. */
import { DASHBOARDS, targetsOf } from '../prometheus/dashboards.js';
import type { Way, Ways } from './ways.js';

export const WAYS: readonly Way[] = [
  'scrape',
  'nhcb',
  'otlp',
  'exponential',
  'utf8',
  'collector',
  'remote-write',
  'victoria-scrape',
  'victoria-otlp',
];

export interface PanelQuery {
  readonly dashboard: string;
  readonly panel: string;
  readonly refId: string;
  readonly expr: string;
}

export const QUERIES: readonly PanelQuery[] = DASHBOARDS.flatMap((dashboard) =>
  targetsOf(dashboard).map(({ panel, target: { refId, expr } }) => ({
    dashboard: dashboard.title.replace('KVM exits / ', ''),
    panel: panel.title,
    refId,
    expr,
  })),
);

/** Asks for the newest result. True if it has a finite value. */
export async function answers(ways: Ways, way: Way, expr: string): Promise<boolean> {
  const query = expr
    .replaceAll('$__rate_interval', '10s')
    .replaceAll('$job', '.*kvm-exit-exporter.*')
    .replaceAll('$instance', ways.instance[way])
    .replaceAll('$vm', 'web-1');
  return (await ask(ways.api[way], query)).some(({ value }) => Number.isFinite(value));
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An instant query. */
export async function ask(api: string, query: string): Promise<Sample[]> {
  const response = await fetch(`${api}/api/v1/query?${new URLSearchParams({ query })}`);
  const body = (await response.json()) as Body;
  if (body.status !== 'success') throw new Error(`${query}: ${body.error}`);
  return body.data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
}

interface Body {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
}
