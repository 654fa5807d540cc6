import { type CollectorSwitches, collectorsWhere } from '../trace/collectors.js';
import type { GetOption } from './options.js';

/** The collectors that the options switch on. */
export function collectorsOf(get: GetOption): CollectorSwitches {
  return collectorsWhere((name) => get(`collector.${name}`));
}
