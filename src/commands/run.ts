import { Agent } from '../agent/agent.js';
import type { AgentOptions } from '../agent/options.js';
import {
  parseBytes,
  parseChoice,
  parseCount,
  parseEvents,
  parseInstanceName,
  parseSeconds,
} from '../config/option-types.js';
import type { Invocation } from '../config/parse-command-line.js';
import type { Collectors } from '../count/vcpu/vcpu-counts.js';
import { collectorsWhere } from '../trace/collectors.js';
import { podWatch } from './serving/kubernetes.js';
import { limited } from './serving/limits.js';
import { exportOverOtlp } from './serving/otlp.js';
import { webServer } from './serving/serve.js';

/** Follows the kernel's trace and serves /metrics, until told to stop. */
export async function run(invocation: Invocation): Promise<void> {
  const { get, getAll } = invocation;
  const pods = podWatch(get);
  const agent = new Agent({ ...agentOptions(get, getAll), podOf: pods?.of });
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

/** Which collectors the flags leave on. */
export function collectorsOf(get: Invocation['get']): Collectors {
  return collectorsWhere((name) => get(`collector.${name}`) === 'true');
}

export function agentOptions(get: Invocation['get'], getAll: Invocation['getAll']): AgentOptions {
  const events = get('tracefs.events');
  return {
    procfs: get('path.procfs') ?? '/proc',
    tracefs: get('path.tracefs'),
    instance: parseInstanceName('tracefs.instance', get('tracefs.instance') ?? ''),
    bufferSize: parseBytes('tracefs.buffer-size', get('tracefs.buffer-size') ?? ''),
    events: events === undefined ? undefined : parseEvents('tracefs.events', events),
    collectors: collectorsOf(get),
    ioAddresses: parseCount('collector.io.addresses', get('collector.io.addresses') ?? ''),
    reader: parseChoice('tracefs.reader', get('tracefs.reader') ?? '', ['auto', 'binary', 'text']),
    kernel: get('collector.kernel') === 'true',
    markers: get('tracefs.markers') === 'true',
    consumeTopLevel: get('tracefs.consume-top-level') === 'true',
    qmp: getAll('qemu.qmp'),
    qemu: {
      logs: getAll('qemu.log'),
      simples: getAll('qemu.simple'),
      traceEvents: get('qemu.trace-events'),
    },
    graceMs: parseSeconds('vm.grace-period', get('vm.grace-period') ?? '') * 1000,
  };
}
