import type { Invocation } from '../../config/parse-command-line.js';
import { PrometheusView } from '../../expose/prometheus.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { log } from '../../system/log.js';
import { VERSION } from '../../system/version.js';
import { WebConfigFile } from '../../web/access/web-config-file.js';
import { Listener } from '../../web/listener.js';
import { webApp } from '../../web/web-app.js';
import { notifyServing } from './notify-serving.js';
import { reloadOnHangup } from './reload-on-hangup.js';
import { stopSignal } from './stop-signal.js';

export interface WebServer {
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  close(): void;
}

export interface WebServerOptions {
  readonly takeSnapshot: () => Snapshot;
  /** Reason the agent is not ready, or undefined once it is. */
  readonly notReady: () => string | undefined;
  /** Shown at the top of the landing page. */
  readonly notice?: string;
}

/**
 * Prepares a web server as the options describe it, and returns the function that starts it. Signals are handled from
 * now on, so call it before anything that has to be undone on the host.
 * @throws AgentError if the web configuration file has mistakes
 */
export function prepareWebServer(invocation: Invocation, options: WebServerOptions): () => Promise<WebServer> {
  const { get } = invocation;
  const file = new WebConfigFile(get('web.config.file'));
  reloadOnHangup(invocation, file);
  const signal = stopSignal();
  const { takeSnapshot } = options;
  const telemetryPath = get('web.telemetry-path');
  const maxRequests = get('web.max-requests');
  const withProcess = !get('web.disable-exporter-metrics');
  const prometheus = new PrometheusView({ takeSnapshot, version: VERSION, process: withProcess });
  const app = webApp({ ...options, prometheus, version: VERSION, telemetryPath, maxRequests }, () => file.current);

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
