import { kubernetesAttributes } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import { type OtlpSettings, otlpSettings } from '../../config/otlp-settings.js';
import { ExportCounts } from '../../expose/otlp/export-counts.js';
import type { OtlpExport } from '../../expose/otlp/otlp-export.js';
import type { SnapshotTaker } from '../../expose/otlp/snapshot-producer.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { tryReadText } from '../../system/files.js';
import { log } from '../../system/log.js';
import { VERSION } from '../../system/version.js';
import { parseCgroup } from '../../vm/identify/cgroup.js';

/**
 * How long the program still runs after a last export that did not finish: the request itself may hang for the
 * receiver's time-out.
 */
const EXIT_DELAY_MS = 100;

/** The export over OTLP, if options or OTEL_* variables ask for one. */
export class OtlpService {
  readonly #get: GetOption;
  readonly #settings: OtlpSettings | undefined;
  readonly #counts = new ExportCounts();

  /** @throws AgentError if options or variables have mistakes */
  constructor(get: GetOption) {
    this.#get = get;
    this.#settings = otlpSettings(get);
  }

  /** Adds what was exported so far. */
  addTo(snapshot: Snapshot): Snapshot {
    return this.#settings === undefined ? snapshot : { ...snapshot, otlp: this.#counts.use };
  }

  async start(snapshots: SnapshotTaker): Promise<OtlpExport> {
    if (this.#settings === undefined) return { freeze: () => {}, stop: async () => true };
    const { startOtlpExport } = await import('../../expose/otlp/otlp-export.js');
    const [{ port }] = this.#get('web.listen-address');
    const kubernetes = kubernetesAttributes();
    const identity = { version: VERSION, port: String(port), containerId: ownContainerId(), kubernetes };
    const process = !this.#get('web.disable-exporter-metrics');
    const otlp = startOtlpExport(snapshots, identity, { ...this.#settings, process }, this.#counts);
    return { freeze: otlp.freeze, stop: () => endsWithProgram(otlp) };
  }
}

async function endsWithProgram(otlp: OtlpExport): Promise<boolean> {
  const finished = await otlp.stop();
  if (!finished) {
    log('warn', 'the last OTLP export did not finish in time');
    setTimeout(() => process.exit(), EXIT_DELAY_MS).unref();
  }
  return finished;
}

/**
 * Id of the container that this program runs in, '' outside containers. In a cgroup namespace only the runtime's mounts
 * show it.
 */
function ownContainerId(): string {
  const mounts = tryReadText('/proc/self/mountinfo') ?? '';
  const mounted = /\/(?:containers|sandboxes|overlay-containers)\/([0-9a-f]{64})\//.exec(mounts)?.[1];
  return parseCgroup(tryReadText('/proc/self/cgroup') ?? '').containerId ?? mounted ?? '';
}
