import { setImmediate } from 'node:timers';
import type { History } from '../../history/history.js';
import type { Observation } from '../../rates/observation.js';
import type { StatisticRates } from '../../rates/statistic-rates.js';

/** Returns what writes each observation into the history, a few VMs in each round of the event loop. */
export function recorderOf(history: History): (observation: Observation, statistics: StatisticRates) => void {
  let writing: Iterator<undefined, void> | undefined;
  const writeOn = () => {
    if (writing?.next().done !== false) writing = undefined;
    else setImmediate(writeOn);
  };
  return (observation, statistics) => {
    // The one before is still being written: its step then covers this observation too.
    if (writing !== undefined) return;
    writing = history.observe(observation, statistics);
    writeOn();
  };
}
