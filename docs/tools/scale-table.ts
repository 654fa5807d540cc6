import { markdownTable } from './markdown-table.js';

/** docs/bench/cost-by-series.json, which test/bench/cost-by-series.ts writes. */
export interface ScaleFigures {
  readonly date: string;
  readonly machine: { readonly cpus: number; readonly kernel: string; readonly node: string };
  readonly sizes: readonly {
    readonly vms: number;
    readonly durations: boolean;
    readonly series: number;
    readonly textMs: number;
    readonly openMetricsMs: number;
    readonly textBytes: number;
    readonly residentBytes: number;
    readonly maxResidentBytes: number;
  }[];
}

/** The cost of many VMs on a host, as a Markdown table: docs/scale.md. */
export function scaleTable({ date, machine, sizes }: ScaleFigures): string {
  const table = markdownTable(
    ['VMs', 'durations', 'series', 'a scrape', 'in OpenMetrics', 'text', 'memory', 'at most'],
    sizes.map(({ vms, durations, series, textMs, openMetricsMs, textBytes, residentBytes, maxResidentBytes }) => [
      vms.toLocaleString('en-US'),
      durations ? 'yes' : 'no',
      series.toLocaleString('en-US'),
      `${textMs.toFixed(0)} ms`,
      `${openMetricsMs.toFixed(0)} ms`,
      megabytes(textBytes),
      megabytes(residentBytes),
      megabytes(maxResidentBytes),
    ]),
  );
  const { cpus, kernel, node } = machine;
  return `${table}\n\nMeasured on ${date}: ${cpus} CPUs, Linux ${kernel}, Node.js ${node}.`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
