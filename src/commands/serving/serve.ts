import type { Invocation } from '../../config/parse-command-line.js';
import { PrometheusView } from '../../expose/prometheus.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { log } from '../../system/log.js';
import { VERSION } from '../../system/version.js';
import { WebConfigFile } from '../../web/access/web-config-file.js';
import { Listener } from '../../web/listener.js';
import { webApp } from '../../web/web-app.js';
import { notifyServing } from './notify.js';
import { reloadOnHangup } from './reload.js';
import { stopSignal } from './stop-signal.js';

export interface Serving {
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  close(): void;
}

export interface Served {
  readonly takeSnapshot: () => Snapshot;
  /** Why the agent does not do its work yet; undefined: it does. */
  readonly notReady: () => string | undefined;
  /** Said on the landing page, above all else. */
  readonly notice?: string;
}

/** A web server as the flags want it, ready to be started. @throws AgentError where the web configuration file is bad */
export function webServer(invocation: Invocation, served: Served): () => Promise<Serving> {
  const { get } = invocation;
  const file = new WebConfigFile(get('web.config.file'));
  // Before anything else: without these, a signal would end the program at once, and what it has done to the host would stay.
  reloadOnHangup(invocation, file);
  const signal = stopSignal();
  const telemetryPath = get('web.telemetry-path');
  const { takeSnapshot } = served;
  const withoutProcess = get('web.disable-exporter-metrics');
  const prometheus = new PrometheusView({ takeSnapshot, version: VERSION, process: !withoutProcess });
  const maxRequests = get('web.max-requests');
  const app = webApp({ ...served, prometheus, version: VERSION, telemetryPath, maxRequests }, () => file.current);

  /** Serves until told to stop. A second signal ends the program at once. */
  return async () => {
    const listeners: Listener[] = [];
    const close = () => {
      for (const listener of listeners) listener.close();
    };
    try {
      for (const address of get('web.listen-address')) listeners.push(await Listener.open(address, app, file));
    } catch (error) {
      close();
      throw error;
    }
    for (const { url } of listeners) log('info', 'serving', { url: `${url}${telemetryPath}` });
    notifyServing();
    return { signal, close };
  };
}
