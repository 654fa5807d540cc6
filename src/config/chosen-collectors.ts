import { type CollectorSwitches, collectorsWhere } from '../trace/collectors.js';
import type { GetOption } from './options.js';

/** The switches of all collectors, as the options set them. */
export function chosenCollectors(get: GetOption): CollectorSwitches {
  return collectorsWhere((name) => get(`collector.${name}`));
}
