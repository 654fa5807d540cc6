import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';

/** Defaults that the SDK writes out for kinds of variables where they mean nothing, and Grafana leaves out. */
const NOISE = new Set(['auto', 'auto_min', 'auto_count', 'skipUrlSync']);

/** Keys sorted, so that a new version of the SDK shows in a diff as what it changed. */
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
