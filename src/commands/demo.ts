import { attributionOf } from '../agent/attribution.js';
import { KNOWN_NAMES } from '../agent/known-names.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import type { Invocation } from '../config/parse-command-line.js';
import { Ledger } from '../count/ledger.js';
import { snapshotSteps } from '../snapshot/take-snapshot.js';
import type { ReplaySinks } from '../source/recording/formats/recording-format.js';
import { openRecordingBytes } from '../source/recording/recording-file.js';
import { type EventClock, type ReplayStart, replayPaced } from '../source/recording/replay-paced.js';
import { log } from '../system/log.js';
import { readProgramFile } from '../system/program/program-files.js';
import { Inventory } from '../vm/inventory.js';
import { parseNotedVms } from '../vm/tables/noted-vm.js';
import { OtlpService } from './serving/export-over-otlp.js';
import { LimitedSnapshots, seriesLimits } from './serving/limited-snapshots.js';
import { AdviceWatch } from './serving/watch-advice.js';
import { prepareWebServer } from './serving/web-server.js';

const RECORDING = 'deploy/demo/recording';
const VMS = ['web-1', 'legacy-db'];
const RECORDING_SECONDS = 22;
/** Time stamp of the first event in the kernel's trace. */
const TRACE_START_NS = 137_003_778_000;
/** Difference between the wall clock, which stamps QEMU's logs, and the clock of the kernel's trace. */
const WALL_CLOCK_OFFSET_NS = 1_795_397_348_017_880_000;

const NOTICE =
  'This is a demonstration: it replays a recording of two VMs on another host, over and over. Nothing here is about this machine. Times are those of an emulated CPU, many times slower than a real one.';

/** Replays the bundled recording at its own speed, over and over; the counters keep rising. */
export async function demo(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const inventory = new Inventory({ procfs: '', live: false });
  inventory.addNotedVms(parseNotedVms(readProgramFile(`${RECORDING}/vms.jsonl`).toString('utf8')));
  const vmInfos = vmInfosOf(inventory, { demo: true });
  const ledger = new Ledger(attributionOf(inventory), { knownNames: KNOWN_NAMES });
  // As in the agent, so that no counter falls when a VM of QEMU's logs first occurs in the kernel's trace.
  ledger.kernelCountsAll = true;
  const player = new Player(ledger);

  const advice = new AdviceWatch(get);
  const otlpService = new OtlpService(get);
  const snapshots = new LimitedSnapshots(seriesLimits(get), function* (isExported) {
    const totals = ledger.totals(Number.POSITIVE_INFINITY, isExported);
    return otlpService.addTo(advice.addTo(yield* snapshotSteps(totals, vmInfos())));
  });
  const web = { takeSnapshot: snapshots.take, advice, notReady: () => undefined, notice: NOTICE };
  const startWebServer = prepareWebServer(invocation, web);
  const otlp = await otlpService.start(snapshots);
  log('warn', NOTICE);
  const server = await startWebServer();
  try {
    for (let round = 1; !server.signal.aborted; round++) {
      log('info', 'replaying the recording from its start', { round, seconds: RECORDING_SECONDS });
      await player.playOnce(server.signal);
    }
  } finally {
    server.close();
    await otlp.stop();
  }
}

/** Counts the files of the recording: the kernel's trace, and the log of each VM's QEMU. */
class Player {
  readonly #ledger: Ledger;
  readonly #kernel;
  readonly #logs;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#kernel = ledger.kernelSource('demo');
    this.#logs = VMS.map((vm) => ({ vm, counts: ledger.qemu.add('log', { labelOf: () => vm }) }));
  }

  async playOnce(signal: AbortSignal): Promise<void> {
    const kernel = this.#kernel;
    const sinks = { kernel: () => kernel, qemu: () => kernel.markers };
    const start = { atMs: performance.now(), timeNs: TRACE_START_NS };
    const logStart = { ...start, timeNs: TRACE_START_NS + WALL_CLOCK_OFFSET_NS };
    await Promise.all([
      this.#playFile('trace_pipe.txt.gz', sinks, kernel, start, signal),
      ...this.#logs.map(({ vm, counts }) =>
        this.#playFile(`${vm}.log.gz`, { ...sinks, qemu: () => counts }, counts, logStart, signal),
      ),
    ]);
  }

  async #playFile(
    file: string,
    sinks: ReplaySinks,
    clock: EventClock,
    start: ReplayStart,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${RECORDING}/${file}`;
    const recording = await openRecordingBytes(path, readProgramFile(path));
    const reader = recording.format.createReader(recording.path, sinks, { vocabulary: this.#ledger.vocabulary });
    await replayPaced(recording, reader, clock, start, signal);
  }
}
