import { RecordingCounter } from '../agent/recording-counter.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import type { GetOption } from '../config/options.js';
import { onlyVms, vmsIn } from '../expose/report/only-vms.js';
import type { Recorded } from '../expose/report/recorded.js';
import { vmCell } from '../expose/report/text-table.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { takeSnapshot } from '../snapshot/take-snapshot.js';
import { readTraceEvents } from '../source/qemu/find-trace-events.js';
import {
  isPageRecording,
  openRecordings,
  type Recording,
  STANDARD_INPUT,
} from '../source/recording/open-recordings.js';
import { readSavedThreads, type SavedThread } from '../source/recording/pages/saved-threads.js';
import { AgentError } from '../system/errors.js';
import { namePattern } from '../system/name-pattern.js';
import { ProgressBar } from '../system/progress-bar.js';
import { Inventory } from '../vm/inventory.js';
import { parseNotedVms } from '../vm/noted-vm.js';
import { stopSignal } from './serving/stop-signal.js';

/** Counts recordings, as the options of `report` say. */
export async function countRecordings(paths: readonly string[], get: GetOption): Promise<Recorded> {
  const traceEventsFile = get('qemu.trace-events');
  const traceEvents = traceEventsFile === undefined ? undefined : readTraceEvents(traceEventsFile);
  const recordings = await openRecordings(paths, get('path.tracefs'), stopOfInput(paths, get));
  const inventory = savedInventory(get('path.procfs'), recordings);
  const progress = new ProgressBar(recordings.reduce((sum, { size }) => sum + size, 0));
  const counter = new RecordingCounter(inventory, {
    traceEvents,
    tracefs: get('path.tracefs'),
    window: { since: get('since'), until: get('until') },
    onRead: (bytes) => progress.advance(bytes),
    onWarning: (warning) => process.stderr.write(`kvm-exit-exporter: ${warning}\n`),
  });
  await counter.count(recordings);
  progress.clear();
  counter.finish(savedThreads(get('path.tracefs'), recordings));
  const snapshot = takeSnapshot(counter.ledger.totals(), vmInfosOf(inventory)());
  return { snapshot: wantedVms(snapshot, get('vm')), time: counter.times.inside() };
}

/** What ends standard input, if it is among the recordings. Otherwise a signal ends the program, as usual. */
function stopOfInput(paths: readonly string[], get: GetOption): AbortSignal {
  if (!paths.includes(STANDARD_INPUT)) return new AbortController().signal;
  const isRelative = get('since')?.isRelative === true || get('until')?.isRelative === true;
  if (isRelative && paths.length > 1)
    throw new AgentError(
      '--since and --until count from the start of all recordings, which standard input does not tell in advance; give times of the trace (@TIME), or save the input to a file',
    );
  return stopSignal(() => {});
}

/** The part of the snapshot about VMs that match one of the patterns; all of it if there are none. */
function wantedVms(snapshot: Snapshot, patterns: readonly string[]): Snapshot {
  if (patterns.length === 0) return snapshot;
  const matchers = patterns.map(namePattern);
  const isWanted = (vm: string) => matchers.some((isMatch) => isMatch(vmCell(vm)));
  const vms = vmsIn(snapshot);
  if (!vms.some(isWanted))
    throw new AgentError(
      `--vm=${patterns.join(',')}: no such VM in this recording; it has ${vms.map(vmCell).join(', ') || 'none'}`,
    );
  return onlyVms(snapshot, isWanted);
}

/** The VMs in the /proc that the user names, else those that a recording names: in its /proc, or in its notes. */
function savedInventory(given: string | undefined, recordings: readonly Recording[]): Inventory {
  const naming = recordings.filter(isPageRecording).filter(({ procfs, notes }) => procfs !== undefined || notes !== '');
  const [found, another] = naming;
  if (given === undefined && another !== undefined)
    throw new AgentError(
      `${naming.map(({ path, procfs }) => procfs ?? path).join(' and ')}: recordings of two hosts, or of two times; report them one by one`,
    );
  const procfs = given ?? found?.procfs;
  const inventory = new Inventory({ procfs: procfs ?? '', live: false });
  if (given === undefined && found !== undefined) inventory.addNotedVms(parseNotedVms(found.notes));
  if (procfs === undefined) return inventory;
  inventory.scan(0);
  if (given !== undefined && inventory.vms().length === 0)
    throw new AgentError(
      `--path.procfs=${given}: holds no VM; expected the saved /proc of a host (PID/cmdline, PID/task/...)`,
    );
  return inventory;
}

/** The kernel's notes of threads: in the copy of tracefs that the user names, and in the recordings. */
function savedThreads(given: string | undefined, recordings: readonly Recording[]): (readonly SavedThread[])[] {
  const named = given === undefined ? [] : [readSavedThreads(given)];
  return [...named, ...recordings.filter(isPageRecording).map((recording) => recording.savedThreads)];
}
