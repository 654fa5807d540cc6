import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attributionOf } from '../agent/attribution.js';
import { vmInfosOf } from '../agent/vm-infos.js';
import type { Invocation } from '../config/parse-command-line.js';
import { Ledger } from '../count/ledger.js';
import { takeSnapshot } from '../snapshot/take-snapshot.js';
import type { ReplaySinks } from '../source/recording/formats/recording-format.js';
import { openRecordingFile } from '../source/recording/recording-file.js';
import { type EventClock, type ReplayStart, replayPaced } from '../source/recording/replay-paced.js';
import { log } from '../system/log.js';
import { Inventory } from '../vm/inventory.js';
import { limited } from './serving/limits.js';
import { exportOverOtlp } from './serving/otlp.js';
import { webServer } from './serving/serve.js';

/** Not by import.meta.dirname: a Node.js that is too old for that must get as far as `check`, which says so. */
const RECORDING = fileURLToPath(new URL('../../../deploy/demo/recording', import.meta.url));
/** The log's wall clock, less the clock of the trace. */
const WALL_CLOCK_OFFSET_NS = 1_795_397_348_017_880_000;

const NOTICE =
  'This is a demonstration: the figures are a recording of two VMs on another host, replayed again and again. Nothing here is about this machine.';

/** Replays the bundled recording at its own speed, for ever; the counters go on rising. */
export async function demo(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const inventory = new Inventory({ procfs: join(RECORDING, 'proc'), live: false });
  inventory.scan(0);
  const vmInfos = vmInfosOf(inventory, { demo: true });
  const ledger = new Ledger(attributionOf(inventory));
  const { vocabulary } = ledger;
  const kernel = ledger.kernelSource('demo');
  const logs = ['web-1', 'legacy-db'].map((vm) => ({ vm, counts: ledger.qemuSource('log', { labelOf: () => vm }) }));

  const shownSnapshot = limited(get, () => takeSnapshot(ledger.totals(), vmInfos()));
  const serve = webServer(invocation, { takeSnapshot: shownSnapshot, notReady: () => undefined, notice: NOTICE });
  const otlp = await exportOverOtlp(get, shownSnapshot);
  log('warn', NOTICE);
  const serving = await serve();
  try {
    for (let round = 1; !serving.signal.aborted; round++) {
      log('info', 'replaying the recording from its start', { round, seconds: 215 });
      const start = { atMs: performance.now(), timeNs: TRACE_START_NS };
      const wallClock = { ...start, timeNs: TRACE_START_NS + WALL_CLOCK_OFFSET_NS };
      const kernelSink = { kernel: () => kernel, qemu: () => kernel.markers };
      await Promise.all([
        playFile('trace_pipe.txt.gz', kernelSink, kernel, start),
        ...logs.map(({ vm, counts }) =>
          playFile(`${vm}.log.gz`, { ...kernelSink, qemu: () => counts }, counts, wallClock),
        ),
      ]);
    }
  } finally {
    serving.close();
    await otlp.stop();
  }

  async function playFile(file: string, sinks: ReplaySinks, clock: EventClock, start: ReplayStart): Promise<void> {
    const recording = await openRecordingFile(join(RECORDING, file));
    await replayPaced(
      recording,
      recording.format.createReader(recording.path, sinks, { vocabulary }),
      clock,
      start,
      serving.signal,
    );
  }
}

/** Time stamp of the trace's first event. */
const TRACE_START_NS = 8_084_401_000;
