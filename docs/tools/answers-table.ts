import { NOT_IN_DEMO } from '../../test/deploy/prometheus/not-in-demo.js';
import { QUERIES, WAYS } from '../../test/support/peers/answers.js';
import { markdownTable } from './markdown-table.js';

/**
 * The table of docs/peers.md: how many queries answer, by way and dashboard. test/peers/answers.test.ts fails for a
 * query that does not answer on one of the ways.
 */
export function answersTable(): string {
  const dashboards = [...new Set(QUERIES.map(({ dashboard }) => dashboard))];
  const counts = dashboards.map((name) => {
    const all = QUERIES.filter(({ dashboard }) => dashboard === name);
    const made = all.filter(({ expr }) => NOT_IN_DEMO.some((fed) => fed.expr === expr));
    return { all: all.length, made: made.length };
  });
  return markdownTable(
    ['way', ...dashboards.map((name) => `queries of ${name}`)],
    [
      ...WAYS.map((way) => [way, ...counts.map(({ all, made }) => `${all - made} of ${all - made}`)]),
      ['on made-up series, by promtool', ...counts.map(({ made }) => String(made))],
    ],
  );
}
