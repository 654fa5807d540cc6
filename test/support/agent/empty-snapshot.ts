import type { Snapshot } from '../../../src/snapshot/snapshot.js';

/** A snapshot in which nothing was counted, to be filled by tests. */
export function emptySnapshot(): Snapshot {
  return {
    exits: [],
    durations: [],
    unpaired: [],
    outside: [],
    causes: [],
    io: [],
    eventfds: [],
    tracepoints: [],
    qemuEvents: [],
    vms: [],
    sources: [],
    unattributedEvents: 0,
  };
}
