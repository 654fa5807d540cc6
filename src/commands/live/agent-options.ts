import type { AgentOptions } from '../../agent/options.js';
import { chosenCollectors } from '../../config/chosen-collectors.js';
import type { GetOption } from '../../config/options.js';
import { defaultBufferSize, onlineCpus } from '../../source/tracefs/control/buffer-size.js';
import { findProcfs } from '../../vm/host/find-procfs.js';

/**
 * What an agent reads and counts, as the options say.
 * @param instances the number of its tracing instances
 */
export function agentOptions(get: GetOption, instances = 1): AgentOptions {
  return {
    procfs: findProcfs(get('path.procfs')),
    tracefs: get('path.tracefs'),
    instance: get('tracefs.instance'),
    bufferSize: get('tracefs.buffer-size') ?? defaultBufferSize(onlineCpus(), instances),
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
