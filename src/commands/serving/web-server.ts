import { clusterEnvironment } from '../../config/cluster-environment.js';
import type { GetOption } from '../../config/options.js';
import type { Invocation } from '../../config/parse-command-line.js';
import { measureStalls } from '../../expose/own-process.js';
import { PrometheusView } from '../../expose/prometheus.js';
import { History } from '../../history/history.js';
import { VmRates } from '../../rates/vm-rates.js';
import type { TakeSnapshot } from '../../snapshot/snapshot.js';
import { machineNames } from '../../system/host-names.js';
import { log } from '../../system/log.js';
import { VERSION } from '../../system/version.js';
import { AllowedHosts } from '../../web/access/allowed-hosts.js';
import { WebConfigFile } from '../../web/access/web-config-file.js';
import { Listener, SharedLimits } from '../../web/listener.js';
import { webApp } from '../../web/web-app.js';
import { collectGarbageSooner } from './collect-garbage.js';
import { notifyServing } from './notify-serving.js';
import { recorderOf } from './record-history.js';
import { reloadOnHangup } from './reload-on-hangup.js';
import { endSoonAfter, stopSignal } from './stop-signal.js';
import type { AdviceWatch } from './watch-advice.js';

/** Time in which a program that has just begun to serve loads the rest of its code: 0.2 s in one piece. */
const STARTING_MS = 1000;
const SAMPLED_RATES_MS = 10_000;

export interface WebServer {
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  close(): void;
}

export interface WebServerOptions {
  readonly takeSnapshot: TakeSnapshot;
  readonly advice: AdviceWatch;
  /** A number that stays the same while the figures of all VMs do; undefined: they may change at any time. */
  readonly changes?: () => number | undefined;
  /** True if most figures change once a period, so that they are looked at half as often. */
  readonly isSampled?: boolean;
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
  endSoonAfter(signal);
  collectGarbageSooner(signal);
  const { takeSnapshot, advice, changes = () => undefined, isSampled = false } = options;
  const telemetryPath = get('web.telemetry-path');
  const maxRequests = get('web.max-requests');
  const withProcess = !get('web.disable-exporter-metrics');
  const prometheus = new PrometheusView({ takeSnapshot, version: VERSION, process: withProcess });
  const history = new History();
  const rates = new VmRates(() => takeSnapshot(false), {
    findings: () => advice.findings,
    onObservation: recorderOf(history),
    changes,
    ...(isSampled && { intervalMs: SAMPLED_RATES_MS }),
  });
  const hosts = allowedHosts(get);
  const app = webApp(
    {
      ...options,
      prometheus,
      rates,
      history,
      findings: () => advice.findings,
      version: VERSION,
      telemetryPath,
      maxRequests,
      hosts,
    },
    () => file.current,
  );

  return async () => {
    const listeners: Listener[] = [];
    const limits = new SharedLimits();
    const close = () => {
      rates.stop();
      advice.stop();
      for (const listener of listeners) listener.close();
    };
    try {
      for (const address of get('web.listen-address')) listeners.push(await Listener.open(address, app, file, limits));
    } catch (error) {
      close();
      throw error;
    }
    for (const { url, address } of listeners) log('info', 'serving', { url: `${url}${telemetryPath}`, address });
    if (file.current.users.size === 0)
      log('info', 'no password is asked: --web.config.file sets one', {
        tls: file.current.tls === undefined ? 'none' : file.current.tls.clientAuth,
      });
    rates.start();
    advice.start(() => takeSnapshot(false));
    setTimeout(measureStalls, STARTING_MS).unref();
    notifyServing();
    return { signal, close };
  };
}

function allowedHosts(get: GetOption): AllowedHosts {
  const own = [...machineNames(), clusterEnvironment().node ?? ''];
  const listening = get('web.listen-address').map(({ host }) => host ?? '');
  return new AllowedHosts([...own, ...listening, ...get('web.allowed-hosts').flat()]);
}
