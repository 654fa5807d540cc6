import type { OptionValue } from '../config/options.js';
import type { Invocation } from '../config/parse-command-line.js';
import type { Recorded } from '../expose/report/recorded.js';
import { reportJson } from '../expose/report/report.js';
import { reportCsv } from '../expose/report/report-csv.js';
import { reportTable } from '../expose/report/report-table.js';
import { knownTimes } from '../expose/report/shown.js';
import { SafeLabels } from '../snapshot/safe-labels.js';
import { AgentError } from '../system/errors.js';
import { print } from '../system/printable.js';
import { VERSION } from '../system/version.js';
import { countRecordings } from './count-recordings.js';
import { reportDiff } from './report-diff.js';
import { sha256Tag } from './serving/limited-snapshots.js';

type Renderer = (recorded: Recorded, order: OptionValue<'sort'>, top: number) => string | Promise<string>;

const RENDERERS: Readonly<Record<OptionValue<'format'>, Renderer>> = {
  table: reportTable,
  json: reportJson,
  csv: reportCsv,
  prometheus: async (recorded) => {
    const { snapshot } = recorded;
    // Loaded when needed, as prom-client takes as long to load as the rest of the report.
    const { PrometheusView } = await import('../expose/prometheus.js');
    // The labels that /metrics would have, whatever their length.
    const safe = new SafeLabels(Number.POSITIVE_INFINITY, sha256Tag).apply({
      ...snapshot,
      vcpuTimes: knownTimes(recorded),
    });
    return new PrometheusView({ takeSnapshot: () => safe, version: VERSION }).render();
  },
};

/** Counts recordings and prints the result. */
export async function report({ get, operands }: Invocation): Promise<void> {
  if (get('diff')) return await reportDiff(operands, get);
  if (get('fail-above') !== undefined)
    throw new AgentError('--fail-above compares two recordings: report --diff --fail-above=10% BEFORE AFTER');
  const recorded = await countRecordings(operands, get);
  print(await RENDERERS[get('format')](recorded, get('sort'), get('top')));
}
