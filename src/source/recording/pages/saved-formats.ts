import { join } from 'node:path';
import type { EventFormats } from '../../../decode/format/event-format.js';
import { AgentError } from '../../../system/errors.js';
import { tryReadText } from '../../../system/files.js';
import { readFormats, savedByteOrder, systemsIn } from '../../tracefs/format-files.js';

const MAX_SUB_BUFFER_KIB = 1 << 13;

/**
 * The formats of all events in a copy of tracefs; their page size is the size of a sub-buffer.
 * @throws AgentError if there are none
 */
export function readSavedFormats(tracefs: string): EventFormats {
  const formats = readFormats(tracefs, systemsIn(tracefs), savedByteOrder(tracefs));
  const { events, pageHeader } = formats;
  if (events.length === 0)
    throw new AgentError(`${tracefs}: no formats in its events/ (events/kvm/kvm_exit/format ...)`);
  return { ...formats, pageHeader: { ...pageHeader, pageSize: subBufferSize(tracefs) ?? pageHeader.pageSize } };
}

/** The name of the current clock; '' if it was not saved. */
export function savedClock(tracefs: string): string {
  return /\[([\w-]+)\]/.exec(tryReadText(join(tracefs, 'trace_clock')) ?? '')?.[1] ?? '';
}

/** Bytes; undefined if it was not saved or is absurd. */
function subBufferSize(tracefs: string): number | undefined {
  const kib = Number(tryReadText(join(tracefs, 'buffer_subbuf_size_kb')));
  return Number.isInteger(kib) && kib > 0 && kib <= MAX_SUB_BUFFER_KIB ? kib * 1024 : undefined;
}
