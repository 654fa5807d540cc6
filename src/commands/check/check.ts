import type { Invocation } from '../../config/parse-command-line.js';
import { tryReadText } from '../../system/files.js';
import { print, printable } from '../../system/printable.js';
import { KVM_DEBUGFS } from '../../vm/host/debugfs.js';
import { Inventory } from '../../vm/inventory.js';
import type { Finding } from './finding.js';
import { checkKvm, checkLockdown, checkNode, checkProc, checkUser, type HostPaths } from './probe-host.js';
import { probePods } from './probe-pods.js';
import { probeStatistics } from './probe-statistics.js';
import {
  checkBufferMemory,
  checkEvents,
  checkHist,
  checkMarkers,
  checkPages,
  checkTracefs,
  probeTracefs,
  type TracefsProbe,
} from './probe-tracefs.js';
import { checkVcpus, checkVms } from './probe-vms.js';

interface Host extends HostPaths {
  readonly tracefs: TracefsProbe;
  readonly inventory: Inventory;
  /** Bytes of one CPU's ring buffer; undefined: the default. */
  readonly bufferSize: number | undefined;
  /** The door to the statistics of each VM. */
  readonly statistics: readonly Finding[];
  readonly pods: readonly Finding[];
}

interface Check {
  readonly what: string;
  readonly look: (host: Host) => Finding | readonly Finding[];
}

/** In the order in which problems are best solved. */
const CHECKS: readonly Check[] = [
  { what: 'Node.js', look: () => checkNode(process.version) },
  { what: 'user', look: () => checkUser(process.getuid?.(), tryReadText('/proc/self/status') ?? '') },
  { what: 'kvm module', look: checkKvm },
  { what: 'tracefs', look: ({ tracefs }) => checkTracefs(tracefs) },
  { what: 'kvm events', look: ({ tracefs }) => checkEvents(tracefs) },
  { what: 'ring buffers', look: ({ tracefs }) => [checkPages(tracefs)] },
  { what: 'buffer memory', look: ({ bufferSize }) => [checkBufferMemory(bufferSize)] },
  { what: 'QEMU markers', look: ({ tracefs }) => checkMarkers(tracefs) },
  { what: 'hist triggers', look: ({ tracefs }) => checkHist(tracefs) },
  { what: 'lockdown', look: checkLockdown },
  { what: '/proc', look: checkProc },
  { what: 'VMs', look: ({ inventory, procfs }) => checkVms(inventory, procfs) },
  { what: 'statistics', look: ({ statistics }) => statistics },
  { what: 'vCPU numbers', look: ({ inventory, tracefs }) => checkVcpus(inventory, tracefs.path, KVM_DEBUGFS) },
  { what: 'pod names', look: ({ pods }) => pods },
];

/** Prints what this host offers and lacks, one line each. Exit code 2 if `run` cannot work. */
export async function check({ get }: Invocation): Promise<void> {
  const procfs = get('path.procfs') ?? '/proc';
  const inventory = new Inventory({ procfs, live: true, debugfs: KVM_DEBUGFS, trustsCommandLines: true });
  inventory.scan(0);
  const tracefs = probeTracefs(get('path.tracefs'));
  try {
    const [qmp, virsh] = [get('qemu.qmp'), get('collector.kvm-stats.virsh')];
    const statistics = await probeStatistics({ inventory, procfs, debugfs: KVM_DEBUGFS, qmp, virsh });
    const pods = await probePods(get);
    const bufferSize = get('tracefs.buffer-size');
    const host = { procfs, sysfs: '/sys', dev: '/dev', tracefs, bufferSize, inventory, statistics, pods };
    const findings = CHECKS.flatMap(({ what, look }) => [look(host)].flat().map((finding) => ({ what, ...finding })));
    print(findings.map((finding) => `${lineOf(finding)}\n`).join(''));
    if (findings.some(({ level }) => level === 'FAIL')) process.exitCode = 2;
  } finally {
    tracefs.release();
  }
}

/** `ok    Node.js         v20.20.2`. Control characters, which names of VMs may contain, are replaced. */
function lineOf({ level, what, text, remedy }: Finding & { readonly what: string }): string {
  const line = `${level.padEnd(4)}  ${what.padEnd(14)}  ${text}${remedy === undefined ? '' : `: ${remedy}`}`;
  return printable(line, '?');
}
