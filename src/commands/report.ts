import { RecordingCounter } from '../agent/recording-counter.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import type { OptionValue } from '../config/options.js';
import type { Invocation } from '../config/parse-command-line.js';
import { reportCsv, reportJson, reportTable } from '../expose/report/report.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { takeSnapshot } from '../snapshot/take-snapshot.js';
import { readTraceEvents } from '../source/qemu/find-trace-events.js';
import { isPageRecording, openRecordings, type Recording } from '../source/recording/open-recordings.js';
import { readSavedThreads, type SavedThread } from '../source/recording/pages/saved-threads.js';
import { AgentError } from '../system/errors.js';
import { ProgressBar } from '../system/progress-bar.js';
import { VERSION } from '../system/version.js';
import { Inventory } from '../vm/inventory.js';
import { parseNotedVms } from '../vm/noted-vm.js';

const RENDERERS: Readonly<Record<OptionValue<'format'>, (snapshot: Snapshot) => string | Promise<string>>> = {
  table: reportTable,
  json: reportJson,
  csv: reportCsv,
  prometheus: async (snapshot) => {
    // Loaded when needed, as prom-client takes as long to load as the rest of the report.
    const { PrometheusView } = await import('../expose/prometheus.js');
    return new PrometheusView({ takeSnapshot: () => snapshot, version: VERSION }).render();
  },
};

/** Counts recordings and prints the result. */
export async function report({ get, operands }: Invocation): Promise<void> {
  const traceEventsFile = get('qemu.trace-events');
  const traceEvents = traceEventsFile === undefined ? undefined : readTraceEvents(traceEventsFile);
  const recordings = await openRecordings(operands, get('path.tracefs'));
  const inventory = savedInventory(get('path.procfs'), recordings);
  const progress = new ProgressBar(recordings.reduce((sum, { size }) => sum + size, 0));
  const counter = new RecordingCounter(inventory, {
    traceEvents,
    tracefs: get('path.tracefs'),
    onRead: (bytes) => progress.advance(bytes),
    onWarning: (warning) => process.stderr.write(`kvm-exit-exporter: ${warning}\n`),
  });
  for (const recording of recordings) await counter.count(recording);
  progress.clear();
  counter.finish(savedThreads(get('path.tracefs'), recordings));
  const snapshot = takeSnapshot(counter.ledger.totals(), vmInfosOf(inventory)());
  process.stdout.write(await RENDERERS[get('format')](snapshot));
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
