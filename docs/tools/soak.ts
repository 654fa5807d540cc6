/** The figures in docs/soak.md, from docs/bench/soak.json: npm run docs. */
import type { SoakReport } from '../../test/soak/soak.js';
import { soakTables } from '../../test/soak/soak-tables.js';
import { withPart } from './readme.js';

export function withSoak(markdown: string, json: string): string {
  const report: SoakReport = JSON.parse(json);
  const title = `${report.minutes} minutes with Node.js ${report.node}:`;
  return withPart(markdown, 'soak', `${title}\n\n${soakTables(report)}`);
}
