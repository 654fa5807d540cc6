import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';

/**
 * Fields that the SDK writes for every variable although they do not apply to its kind. Grafana does not write them.
 */
const NOISE = new Set(['auto', 'auto_min', 'auto_count', 'skipUrlSync']);

/** Keys are sorted, so that a diff after an update of the SDK shows only real changes. */
export function dashboardJson(dashboard: Dashboard): string {
  return `${JSON.stringify(tidy(dashboard), null, 2)}\n`;
}

function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key, entry]) => entry !== undefined && !NOISE.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, entry]) => [key, tidy(entry)]));
}
