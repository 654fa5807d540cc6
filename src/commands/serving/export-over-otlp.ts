import { kubernetesAttributes } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import { otlpSettings } from '../../config/otlp-settings.js';
import type { OtlpExport } from '../../expose/otlp/otlp-export.js';
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

/** Starts exporting if options or OTEL_* variables ask for it. @throws AgentError if these have mistakes */
export async function exportOverOtlp(get: GetOption, takeSnapshot: () => Snapshot): Promise<OtlpExport> {
  const settings = otlpSettings(get);
  if (settings === undefined) return { freeze: () => {}, stop: async () => true };
  const { startOtlpExport } = await import('../../expose/otlp/otlp-export.js');
  const [{ port }] = get('web.listen-address');
  const kubernetes = kubernetesAttributes();
  const identity = { version: VERSION, port: String(port), containerId: ownContainerId(), kubernetes };
  const otlp = startOtlpExport(takeSnapshot, identity, settings);
  return {
    freeze: otlp.freeze,
    async stop() {
      const finished = await otlp.stop();
      if (!finished) {
        log('warn', 'the last OTLP export did not finish in time');
        setTimeout(() => process.exit(), EXIT_DELAY_MS).unref();
      }
      return finished;
    },
  };
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
