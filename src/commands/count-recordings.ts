import { RecordingCounter } from '../agent/recording/recording-counter.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import { auditRecording, type RecordedCheck } from '../audit/audit-recording.js';
import { parseReadings } from '../audit/readings.js';
import type { GetOption } from '../config/options.js';
import type { Recorded } from '../expose/report/recorded.js';
import { problemsOf } from '../expose/report/report.js';
import { withoutUnknown } from '../expose/report/shown.js';
import { vmsIn } from '../snapshot/only-vms.js';
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
import { printMessage } from '../system/printable.js';
import { noteKvmStatistics } from '../vm/host/kvm-statistics.js';
import { Inventory } from '../vm/inventory.js';
import { parseNotedVms } from '../vm/tables/noted-vm.js';
import { wantedVms } from './live/wanted-vms.js';
import { ProgressBar } from './progress-bar.js';
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
    onWarning(warning) {
      progress.clear();
      printMessage(warning);
    },
  });
  await counter.count(recordings);
  progress.clear();
  counter.finish(savedThreads(get('path.tracefs'), recordings));
  const snapshot = takeSnapshot(counter.ledger.totals(), vmInfosOf(inventory)());
  const wanted = wantedVms(snapshot, get('vm'), 'in this recording; it');
  const vms = new Set(vmsIn(wanted));
  const isWhole = get('since') === undefined && get('until') === undefined;
  const audit = isWhole ? auditOf(recordings, snapshot, inventory) : [];
  return {
    snapshot: withoutUnknown(wanted),
    time: counter.times.inside(),
    audit: audit.filter(({ vm }) => vms.has(vm)),
    undecidedExits: counter.undecidedExits,
    repeatedRows: [...counter.repeatedRows].filter((row) => vms.has(row)),
    disabledAdvice: get('advice.disable'),
  };
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

/** The checks of a recording that holds KVM's statistics. Of several recordings, none has all exits. */
function auditOf(recordings: readonly Recording[], snapshot: Snapshot, inventory: Inventory): RecordedCheck[] {
  const [recording, another] = recordings;
  if (recording === undefined || another !== undefined || !isPageRecording(recording)) return [];
  const { notes, kvmDebugfs } = recording;
  const saved = kvmDebugfs === undefined ? '' : noteKvmStatistics('end', kvmDebugfs);
  const { events, unknown_gaps } = problemsOf(snapshot).lost;
  const layers = new Set(snapshot.exits.map(({ layer }) => layer));
  const traced = { kvm: layers.has('kvm'), qemu: layers.has('qemu') };
  const vmOf = (tid: number) => (inventory.find(tid)?.vm ?? inventory.vms().find(({ pid }) => pid === tid))?.label;
  const counted = { exits: snapshot.exits, traced, hasLost: events + unknown_gaps > 0 };
  return auditRecording(counted, parseReadings(`${notes}${saved}`), vmOf);
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
