import { MAGIC } from '../../../decode/trace-dat/tracing-data.js';
import { openTraceDat } from '../pages/trace-dat.js';
import type { PageFormat } from './recording-format.js';

export const TRACE_DAT: PageFormat = {
  name: 'trace.dat of trace-cmd',
  matches: (head) => Buffer.from(head.subarray(0, MAGIC.length)).toString('latin1') === MAGIC,
  openPages: openTraceDat,
};
