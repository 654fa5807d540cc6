import { Agent } from '../agent/agent.js';
import type { AgentOptions } from '../agent/options.js';
import { chosenCollectors } from '../config/chosen-collectors.js';
import type { GetOption } from '../config/options.js';
import type { Invocation } from '../config/parse-command-line.js';
import { findProcfs } from '../vm/host/find-procfs.js';
import { createPodWatch } from './serving/create-pod-watch.js';
import { exportOverOtlp } from './serving/export-over-otlp.js';
import { limitSeries } from './serving/limit-series.js';
import { AdviceWatch } from './serving/watch-advice.js';
import { prepareWebServer } from './serving/web-server.js';

/** Counts the exits of this host's VMs and serves /metrics, until SIGTERM or SIGINT. */
export async function run(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const pods = createPodWatch(get);
  const agent = new Agent({ ...agentOptions(get), podOf: pods?.podOf });
  if (pods !== undefined) agent.ledger.addSource('kubernetes', pods.counts);
  const advice = new AdviceWatch(get);
  const takeSnapshot = limitSeries(get, () => advice.addTo(agent.snapshot()));
  const startWebServer = prepareWebServer(invocation, { takeSnapshot, advice, notReady: () => agent.notReady });
  const otlp = await exportOverOtlp(get, takeSnapshot);
  agent.open();
  try {
    const server = await startWebServer();
    void pods?.run(server.signal);
    try {
      await agent.run(server.signal, otlp.freeze);
    } finally {
      server.close();
    }
  } finally {
    agent.close();
    await otlp.stop();
  }
}

function agentOptions(get: GetOption): AgentOptions {
  return {
    procfs: findProcfs(get('path.procfs')),
    tracefs: get('path.tracefs'),
    instance: get('tracefs.instance'),
    bufferSize: get('tracefs.buffer-size'),
    events: get('tracefs.events'),
    collectors: chosenCollectors(get),
    ioAddresses: get('collector.io.addresses'),
    reader: get('tracefs.reader'),
    kernel: get('collector.kernel'),
    markers: get('tracefs.markers'),
    consumeTopLevel: get('tracefs.consume-top-level'),
    qmp: get('qemu.qmp'),
    statistics: get('collector.kvm-stats')
      ? { all: get('collector.kvm-stats.all'), virsh: get('collector.kvm-stats.virsh') }
      : undefined,
    qemu: {
      logs: get('qemu.log'),
      simples: get('qemu.simple'),
      traceEvents: get('qemu.trace-events'),
      anyEvent: get('qemu.log.any-event'),
    },
    graceMs: get('vm.grace-period') * 1000,
  };
}
