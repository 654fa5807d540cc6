import { setTimeout as sleep } from 'node:timers/promises';
import type { CurrentRates } from '../../rates/vm-rates.js';
import { escapeInJson, print } from '../../system/printable.js';
import { stopSignal } from '../serving/stop-signal.js';
import { listText } from './list-view.js';
import { shownRows, type UiState } from './ui-state.js';
import type { VmSource } from './vm-source.js';

/**
 * Prints the list at intervals, for scripts and logs.
 * @param times how often; undefined for until a signal
 */
export async function batch(
  source: VmSource,
  state: UiState,
  format: 'table' | 'json',
  times = Number.POSITIVE_INFINITY,
): Promise<void> {
  const signal = stopSignal(() => {});
  process.once('SIGHUP', () => process.kill(process.pid, 'SIGTERM'));
  for (let printed = 0; printed < times && !signal.aborted; ) {
    const rates = await source.current();
    // The first look at this host has no rates yet, and an agent that has just started has none either.
    if (rates.seconds !== null) {
      print(TEXTS[format](rates, state));
      printed++;
    }
    if (printed < times) await sleep(state.intervalMs, undefined, { signal }).catch(() => {});
  }
}

const TEXTS: Readonly<Record<'table' | 'json', (rates: CurrentRates, state: UiState) => string>> = {
  table: (rates, state) => {
    const at = new Date().toISOString();
    const lost = rates.lost_events === 0 ? '' : `, ${rates.lost_events} events lost: the figures are too low`;
    return `${at}, over ${rates.seconds?.toFixed(1)} s${lost}\n${listText(rates, state).join('\n')}\n\n`;
  },
  json: (rates, state) =>
    `${escapeInJson(JSON.stringify({ time: new Date().toISOString(), ...rates, vms: shownRows(rates.vms, state) }))}\n`,
};
