import { HOST_METRICS } from './host-metrics.js';
import type { Metric, Sample } from './metric.js';
import { boundsOf, type Rows, type SplitLabel, type VmRow } from './tables/row-table.js';
import { rowsOf, TABLE_NAMES, TABLES, type TableName, type TableOf } from './tables.js';

/**
 * Every metric. The views, the tables in the docs, dashboards and rules are derived from this list or tested against
 * it.
 */
export const CATALOGUE: readonly Metric[] = [...TABLE_NAMES.flatMap(metricsOf), ...HOST_METRICS];

function metricsOf<Name extends TableName>(name: Name): Metric[] {
  const table: TableOf<Name> = TABLES[name];
  return table.metrics.map((metric): Metric => {
    const columns = table.columnsOf(metric);
    const common = {
      name: metric.name,
      help: metric.help,
      otel: metric.otel,
      labels: table.labelNamesOf(metric),
    };
    if ('split' in metric)
      return {
        ...common,
        type: metric.type,
        read: (snapshot) => splitSamples(rowsOf(snapshot, name), columns, metric.split),
      };
    if (metric.type === 'histogram')
      return {
        ...common,
        type: metric.type,
        bounds: boundsOf(metric),
        read: (snapshot) => samples(rowsOf(snapshot, name), columns, metric.value),
      };
    return { ...common, type: metric.type, read: (snapshot) => samples(rowsOf(snapshot, name), columns, metric.value) };
  });
}

/** Yields one sample at a time: a list of samples of a hundred thousand rows would take most of a scrape's memory. */
function* samples<Row extends VmRow, Value>(
  rows: Rows<Row>,
  columns: readonly (keyof Row & string)[],
  toValue: (row: Row) => Value,
): Generator<readonly [labels: string[], value: Value], void, undefined> {
  for (const row of rows) yield [labelValues(row, columns), toValue(row)];
}

function* splitSamples<Row extends VmRow>(
  rows: Rows<Row>,
  columns: readonly (keyof Row & string)[],
  { values }: SplitLabel<Row>,
): Generator<Sample, void, undefined> {
  for (const row of rows)
    for (const [labelValue, toValue] of Object.entries(values)) {
      const value = toValue(row);
      if (value !== undefined) yield [[...labelValues(row, columns), labelValue], value];
    }
}

function labelValues<Row>(row: Row, columns: readonly (keyof Row & string)[]): string[] {
  return columns.map((column) => String(row[column]));
}
