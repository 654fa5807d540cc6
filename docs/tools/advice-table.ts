import type { Match, Rule } from '../../src/advice/rules/rule.js';
import { RULES } from '../../src/advice/rules.js';
import { markdownTable } from './markdown-table.js';

/** Alert -> the matches of rules that can explain it. */
const EXPLAINS: Readonly<Record<string, (match: Match) => boolean>> = {
  KvmUserspaceExitSpike: (match) => 'io' in match || ('exits' in match && match.exits === 'qemu'),
  KvmHaltExitStorm: (match) => isForReason(match, 'HLT'),
  KvmPauseExitStorm: (match) => isForReason(match, 'PAUSE_INSTRUCTION'),
  KvmVcpuWaitsForCpu: (match) => 'state' in match && match.state === 'ready',
  KvmHaltPollingWaste: (match) => 'statistics' in match && match.statistics.includes('halt_poll_fail_ns'),
  KvmMmioExitStorm: (match) => ('io' in match && match.io === 'mmio') || isForReason(match, 'EPT_VIOLATION'),
};

/** Alerts whose runbooks have a table of findings. */
export const EXPLAINED_ALERTS: readonly string[] = Object.keys(EXPLAINS);

/** The findings that can explain an alert, as a table for its runbook. */
export function adviceTable(alert: string): string {
  const rows = RULES.filter((rule) => rule.isVague !== true && rule.matches.some((match) => EXPLAINS[alert]?.(match)));
  return markdownTable(
    ['finding', 'cause', 'change'],
    rows.map((rule) => [`[${rule.title}](../../docs/advice/${rule.id}.md)`, rule.cause, mainChange(rule)]),
  );
}

function isForReason(match: Match, reason: string): boolean {
  return 'exits' in match && match.reasons.includes(reason);
}

/** The page of a finding has all changes; a table has room for one. */
function mainChange({ changes: { qemu, guest, host } }: Rule): string {
  return qemu === undefined ? (guest ?? host ?? '') : `\`${qemu}\``;
}
