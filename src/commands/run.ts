import { Agent } from '../agent/agent.js';
import type { AgentOptions } from '../agent/options.js';
import type { GetOption } from '../config/options.js';
import type { Invocation } from '../config/parse-command-line.js';
import type { Collectors } from '../count/vcpu/vcpu-counts.js';
import { collectorsWhere } from '../trace/collectors.js';
import { podWatch } from './serving/kubernetes.js';
import { limited } from './serving/limits.js';
import { exportOverOtlp } from './serving/otlp.js';
import { webServer } from './serving/serve.js';

/** Follows the kernel's trace and serves /metrics, until told to stop. */
export async function run(invocation: Invocation): Promise<void> {
  const { get } = invocation;
  const pods = podWatch(get);
  const agent = new Agent({ ...agentOptions(get), podOf: pods?.podOf });
  if (pods !== undefined) agent.ledger.addSource('kubernetes', pods.counts);
  const takeSnapshot = limited(get, () => agent.snapshot());
  const serve = webServer(invocation, { takeSnapshot, notReady: () => agent.notReady });
  const otlp = await exportOverOtlp(get, takeSnapshot);
  agent.open();
  try {
    const serving = await serve();
    void pods?.run(serving.signal);
    try {
      await agent.run(serving.signal, otlp.freeze);
    } finally {
      serving.close();
    }
  } finally {
    agent.close();
    await otlp.stop();
  }
}

/** Which collectors the options leave on. */
export function collectorsOf(get: GetOption): Collectors {
  return collectorsWhere((name) => get(`collector.${name}`));
}

function agentOptions(get: GetOption): AgentOptions {
  return {
    procfs: get('path.procfs') ?? '/proc',
    tracefs: get('path.tracefs'),
    instance: get('tracefs.instance'),
    bufferSize: get('tracefs.buffer-size'),
    events: get('tracefs.events'),
    collectors: collectorsOf(get),
    ioAddresses: get('collector.io.addresses'),
    reader: get('tracefs.reader'),
    kernel: get('collector.kernel'),
    markers: get('tracefs.markers'),
    consumeTopLevel: get('tracefs.consume-top-level'),
    qmp: get('qemu.qmp'),
    qemu: { logs: get('qemu.log'), simples: get('qemu.simple'), traceEvents: get('qemu.trace-events') },
    graceMs: get('vm.grace-period') * 1000,
  };
}
