import { kubernetesAttributes } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import { otlpSettings } from '../../config/otlp-settings.js';
import type { OtlpExport } from '../../expose/otlp/otlp-export.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { tryReadText } from '../../system/files.js';
import { log } from '../../system/log.js';
import { VERSION } from '../../system/version.js';
import { parseCgroup } from '../../vm/identify/cgroup.js';

/** Something of an export may hang on for the receiver's time-out: nobody waits for that. */
const HANG_MS = 100;

/** Starts to export where flags or OTEL_* ask for it. @throws AgentError where they are wrong */
export async function exportOverOtlp(get: GetOption, takeSnapshot: () => Snapshot): Promise<OtlpExport> {
  const settings = otlpSettings(get);
  if (settings === undefined) return { freeze: () => {}, stop: async () => true };
  const { startOtlpExport } = await import('../../expose/otlp/otlp-export.js');
  const [{ port }] = get('web.listen-address');
  const identity = {
    version: VERSION,
    port: String(port),
    containerId: ownContainer(),
    kubernetes: kubernetesAttributes(),
  };
  const otlp = startOtlpExport(takeSnapshot, identity, settings);
  return {
    freeze: otlp.freeze,
    async stop() {
      const done = await otlp.stop();
      if (!done) {
        log('warn', 'the last OTLP export did not end in time');
        setTimeout(() => process.exit(), HANG_MS).unref();
      }
      return done;
    },
  };
}

/** In a cgroup namespace the cgroup does not tell; the files that the runtime mounts into the container then do. '' outside of containers. */
function ownContainer(): string {
  const mounted = /\/(?:containers|sandboxes|overlay-containers)\/([0-9a-f]{64})\//.exec(
    tryReadText('/proc/self/mountinfo') ?? '',
  );
  return parseCgroup(tryReadText('/proc/self/cgroup') ?? '').containerId ?? mounted?.[1] ?? '';
}
