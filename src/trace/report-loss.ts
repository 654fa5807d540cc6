import type { MalformedKind, QemuSink } from './sink.js';

/**
 * More events than any source loses at once: at ten million a second it takes most of a year to write as many. A larger
 * count is corrupt or forged. Sums of many such counts stay exact, too.
 */
const MAX_LOSS = 2 ** 48;

/** Reports that `count` events are missing. A count that no source can mean is cut and called malformed. */
export function reportLoss(sink: QemuSink, cpu: number, count: number, kind: MalformedKind): void {
  sink.lost(cpu, Math.min(count, MAX_LOSS));
  if (count > MAX_LOSS) sink.malformed(kind);
}
