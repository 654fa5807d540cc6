import type { MalformedKind, QemuSink } from '../trace-sink.js';
import { type Cells, newCells, plus, withRoom } from './cells.js';
import { SourceCounts } from './source-counts.js';

/**
 * What QEMU's trace said: of one file, or by the markers of one kernel trace. Kept by the id that each event carries (a thread, a
 * process or 0), because whose it is may be learned later.
 */
export class QemuCounts implements QemuSink {
  readonly source = new SourceCounts();
  /** Time of the latest event on the trace's own clock. */
  lastTimeNs = 0;
  /** id -> QEMU's cpu_index -> returns of KVM_RUN by reason. */
  readonly runExits = new Map<number, Map<number, Cells>>();
  /** id -> events by name. */
  readonly events = new Map<number, Cells>();

  qemuRunExit(_timeNs: number, id: number, cpuIndex: number, reason: number): void {
    count(this.runExits.get(id) ?? child(this.runExits, id), cpuIndex, reason);
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    this.lastTimeNs = timeNs;
    this.source.events++;
    count(this.events, id, event);
  }

  lost(cpu: number, events: number): void {
    this.source.addLost(cpu, events);
  }

  malformed(kind: MalformedKind): void {
    this.source.addMalformed(kind);
  }

  /** Everything of `id` is now of `other`: a thread's number was given to another thread. */
  rename(id: number, other: number): void {
    for (const [cpuIndex, cells] of this.runExits.get(id) ?? []) merge(child(this.runExits, other), cpuIndex, cells);
    this.runExits.delete(id);
    const events = this.events.get(id);
    if (events !== undefined) merge(this.events, other, events);
    this.events.delete(id);
  }

  forget(id: number): void {
    this.runExits.delete(id);
    this.events.delete(id);
  }
}

function count(map: Map<number, Cells>, key: number, id: number): void {
  let cells = map.get(key);
  if (cells === undefined || id >= cells.length) {
    cells = withRoom(cells ?? newCells(), id);
    map.set(key, cells);
  }
  cells[id] = (cells[id] as number) + 1;
}

function merge(map: Map<number, Cells>, key: number, cells: Cells): void {
  map.set(key, plus(map.get(key) ?? newCells(), cells));
}

function child(map: Map<number, Map<number, Cells>>, key: number): Map<number, Cells> {
  const known = map.get(key) ?? new Map<number, Cells>();
  map.set(key, known);
  return known;
}
