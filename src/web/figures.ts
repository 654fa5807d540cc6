import { time } from '../expose/report/text-table.js';

/** @param unknown stands for a figure that is not known */
export function formatRate(value: number | null, unknown: string): string {
  if (value === null) return unknown;
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

export function formatShare(value: number | null, unknown: string): string {
  return value === null ? unknown : `${(100 * value).toFixed(1)} %`;
}

export function formatSeconds(value: number | null, unknown: string): string {
  return value === null ? unknown : time(value);
}
