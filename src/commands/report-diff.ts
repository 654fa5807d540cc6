import type { GetOption, OptionValue } from '../config/options.js';
import { type Diff, diffOf } from '../expose/diff/diff.js';
import { diffCsv, diffJson } from '../expose/diff/diff-json.js';
import { diffTable } from '../expose/diff/diff-table.js';
import { risesAbove } from '../expose/diff/fail-above.js';
import { vmCell } from '../expose/report/text-table.js';
import { AgentError } from '../system/errors.js';
import { print, printMessage } from '../system/printable.js';
import { countRecordings } from './count-recordings.js';

type Format = Exclude<OptionValue<'format'>, 'prometheus'>;

const RENDERERS: Readonly<Record<Format, (diff: Diff, top: number) => string>> = {
  table: diffTable,
  json: diffJson,
  csv: diffCsv,
};

/** Exit code if a figure rose by more than --fail-above. It differs from those of a bug (1) and of a problem (2). */
const EXIT_ROSE = 3;

/** Counts two recordings and prints what changed between them. */
export async function reportDiff(operands: readonly string[], get: GetOption): Promise<void> {
  const [before, after, ...more] = operands;
  if (before === undefined || after === undefined || more.length > 0)
    throw new AgentError(`--diff compares two recordings: BEFORE AFTER; got ${operands.join(' ')}`);
  const format = get('format');
  if (format === 'prometheus') throw new AgentError('--diff cannot be printed as prometheus; use table, json or csv');
  const diff = diffOf(await countRecordings([before], get), await countRecordings([after], get), get('sort'));
  if (diff.vms.length === 0)
    throw new AgentError(
      `--diff: no VM has exits in both recordings; ${before} has ${list(diff.onlyBefore)}, ${after} has ${list(diff.onlyAfter)}`,
    );
  print(RENDERERS[format](diff, get('top')));
  const limit = get('fail-above');
  if (limit !== undefined) judge(diff, limit);
}

function judge(diff: Diff, limit: number): void {
  const rises = risesAbove(diff, limit);
  if (rises === undefined)
    throw new AgentError('--fail-above: these recordings have no figure in common that could be compared');
  for (const rise of rises) printMessage(rise);
  if (rises.length > 0) process.exitCode = EXIT_ROSE;
}

function list(vms: readonly string[]): string {
  return vms.length === 0 ? 'none' : vms.map(vmCell).join(', ');
}
