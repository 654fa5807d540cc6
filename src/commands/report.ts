import { attributionOf } from '../agent/attribution.js';
import { QemuFileOwner } from '../agent/qemu-file-owner.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import type { OptionValue } from '../config/options.js';
import type { Invocation } from '../config/parse-command-line.js';
import type { ThreadListener } from '../count/kernel-counts.js';
import { ALL_COLLECTORS, Ledger } from '../count/ledger.js';
import { PrometheusView } from '../expose/prometheus.js';
import { reportCsv, reportJson, reportTable } from '../expose/report/report.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { takeSnapshot } from '../snapshot/take-snapshot.js';
import { readTraceEvents } from '../source/qemu/find-trace-events.js';
import type { ReplaySinks } from '../source/recording/formats/recording-format.js';
import { isDirectory, openPageDirectory, type PageDirectory } from '../source/recording/page-directory.js';
import { openRecordingFile, type RecordingFile } from '../source/recording/recording-file.js';
import { replayFile } from '../source/recording/replay-file.js';
import { replayPageDirectory } from '../source/recording/replay-page-directory.js';
import { readSavedThreads, type SavedThread } from '../source/recording/saved-threads.js';
import { AgentError } from '../system/errors.js';
import { ProgressBar } from '../system/progress-bar.js';
import { VERSION } from '../system/version.js';
import { Inventory } from '../vm/inventory.js';

const RENDERERS: Readonly<Record<OptionValue<'format'>, (snapshot: Snapshot) => string | Promise<string>>> = {
  table: reportTable,
  json: reportJson,
  csv: reportCsv,
  prometheus: (snapshot) => new PrometheusView({ takeSnapshot: () => snapshot, version: VERSION }).render(),
};

/** A report is read once, so its series need no budget: all addresses are shown, within reason. */
const ALL_ADDRESSES = 4096;

/** Counts recordings and prints what they hold. */
export async function report({ get, operands }: Invocation): Promise<void> {
  const traceEventsFile = get('qemu.trace-events');
  const traceEvents = traceEventsFile === undefined ? undefined : readTraceEvents(traceEventsFile);
  const recordings = await openAll(operands, get('path.tracefs'));
  const inventory = savedInventory(get('path.procfs'), recordings);
  const comms = new Map<number, string>();
  const onThread: ThreadListener = (tid, tgid, comm) => {
    inventory.addThread(tid, tgid, comm);
    if (comm !== '' || !comms.has(tid)) comms.set(tid, comm);
  };
  const ledger = new Ledger(attributionOf(inventory, { comms }), {
    collectors: { ...ALL_COLLECTORS, ioCapacity: ALL_ADDRESSES },
    ioAddresses: ALL_ADDRESSES,
  });

  const progress = new ProgressBar(recordings.reduce((sum, { size }) => sum + size, 0));
  const onRead = (bytes: number) => progress.advance(bytes);
  for (const recording of recordings) {
    if ('cpus' in recording) {
      await countPages(ledger, recording, onThread, onRead);
      continue;
    }
    const reader = recording.format.createReader(recording.path, sinksOf(ledger, inventory, onThread, recording), {
      vocabulary: ledger.vocabulary,
      traceEvents,
    });
    await replayFile(recording, reader, onRead);
    for (const warning of reader.warnings()) process.stderr.write(`kvm-exit-exporter: ${warning}\n`);
  }
  progress.clear();
  const unknown = [...new Set(ledger.vcpuThreadIds())].filter((tid) => inventory.find(tid) === undefined);
  for (const { tid, tgid, comm } of savedThreads(unknown, recordings, get('path.tracefs')))
    onThread(tid, tgid, comms.get(tid) ?? comm);
  attributeVcpus(ledger, inventory);
  ledger.resolveOwners();
  ledger.settle();

  process.stdout.write(await RENDERERS[get('format')](takeSnapshot(ledger.totals(), vmInfosOf(inventory)())));
}

async function countPages(
  ledger: Ledger,
  recording: PageDirectory,
  onThread: ThreadListener,
  onRead: (bytes: number) => void,
): Promise<void> {
  const counts = ledger.kernelSource('ftrace', onThread);
  counts.source.overruns = recording.overruns;
  await replayPageDirectory(recording, { vocabulary: ledger.vocabulary, sink: counts, onRead });
}

/** Threads that ran a vCPU, whatever they are called, are a VM's: now that all is read, the inventory may know whose. */
function attributeVcpus(ledger: Ledger, inventory: Inventory): void {
  for (const { tid, vcpu } of ledger.vcpus()) {
    if (vcpu >= 0) inventory.learnVcpu(tid, vcpu);
    else inventory.requestLookup(tid, true);
    inventory.resolvePending(0);
  }
}

type AnyRecording = RecordingFile | PageDirectory;

/** Opens every file before any is read, so that all problems are told at once. */
async function openAll(paths: readonly string[], tracefs: string | undefined): Promise<AnyRecording[]> {
  const recordings: AnyRecording[] = [];
  const problems: string[] = [];
  // One after the other: each takes a megabyte while it is looked at.
  for (const path of paths) {
    try {
      recordings.push(isDirectory(path) ? openPageDirectory(path, tracefs) : await openRecordingFile(path));
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return recordings;
}

/** Of the /proc that the user names, else of the one that a recording brings along. */
function savedInventory(given: string | undefined, recordings: readonly AnyRecording[]): Inventory {
  const [found, other] = savedProcfs(recordings);
  if (given === undefined && other !== undefined)
    throw new AgentError(`${found} and ${other}: recordings of two hosts, or of two times; report them one by one`);
  const inventory = new Inventory({ procfs: given ?? found ?? '', live: false });
  if ((given ?? found) === undefined) return inventory;
  inventory.scan(0);
  if (given !== undefined && inventory.vms().length === 0)
    throw new AgentError(
      `--path.procfs=${given}: no saved /proc of a VM in there (expected PID/cmdline, PID/task/...)`,
    );
  return inventory;
}

function savedProcfs(recordings: readonly AnyRecording[]): string[] {
  return recordings.flatMap((recording) => ('procfs' in recording ? (recording.procfs ?? []) : []));
}

/**
 * What the kernel itself has noted of threads that no /proc knows: which of them belong together, and their names. Only of those that
 * the recordings show, and their processes: those notes go back for ever.
 */
function savedThreads(
  unknown: readonly number[],
  recordings: readonly AnyRecording[],
  given: string | undefined,
): SavedThread[] {
  const folders = recordings.flatMap((recording) => ('tracefs' in recording ? recording.tracefs : []));
  return [...new Set(given === undefined ? folders : [given])].flatMap((tracefs) => {
    const saved = new Map(readSavedThreads(tracefs).map((thread) => [thread.tid, thread]));
    const seen = unknown.flatMap((tid) => saved.get(tid) ?? []);
    return [...seen.flatMap(({ tgid }) => saved.get(tgid) ?? []), ...seen];
  });
}

function sinksOf(
  ledger: Ledger,
  inventory: Inventory,
  onThread: ThreadListener,
  recording: RecordingFile,
): ReplaySinks {
  return {
    kernel: () => ledger.kernelSource('ftrace', onThread),
    qemu: (backend) => ledger.qemuSource(backend, new QemuFileOwner(inventory, recording.path, backend)),
  };
}
