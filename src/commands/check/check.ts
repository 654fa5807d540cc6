import { join } from 'node:path';
import type { Invocation } from '../../config/parse-command-line.js';
import type { EventFormat } from '../../decode/format/event-format.js';
import { qemuBackends } from '../../source/qemu/backends.js';
import { readFormats } from '../../source/tracefs/format-files.js';
import { tryFileId, tryReadText } from '../../system/files.js';
import { readDebugfsVcpus } from '../../vm/host/debugfs.js';
import { Inventory } from '../../vm/inventory.js';
import type { Vm } from '../../vm/vm.js';
import { type Finding, fail, ok, warn } from './finding.js';
import { checkKvm, checkLockdown, checkNode, checkProc, checkUser, type HostPaths } from './probe-host.js';
import {
  checkEvents,
  checkHist,
  checkMarkers,
  checkPages,
  checkTracefs,
  probeTracefs,
  type TracefsProbe,
} from './probe-tracefs.js';

export interface Checked extends HostPaths {
  readonly tracing: TracefsProbe;
  readonly inventory: Inventory;
}

interface Check {
  readonly what: string;
  readonly look: (host: Checked) => Finding | readonly (Finding & { readonly what?: string })[];
}

/** In the order in which a user would mend things. */
export const CHECKS: readonly Check[] = [
  { what: 'Node.js', look: () => checkNode(process.version) },
  { what: 'user', look: () => checkUser(process.getuid?.(), tryReadText('/proc/self/status') ?? '') },
  { what: 'kvm module', look: checkKvm },
  { what: 'tracefs', look: ({ tracing }) => checkTracefs(tracing) },
  { what: 'kvm events', look: ({ tracing }) => checkEvents(tracing) },
  { what: 'ring buffers', look: ({ tracing }) => checkPages(tracing) },
  { what: 'QEMU markers', look: ({ tracing }) => checkMarkers(tracing) },
  { what: 'hist triggers', look: ({ tracing }) => checkHist(tracing) },
  { what: 'lockdown', look: checkLockdown },
  { what: '/proc', look: checkProc },
  { what: 'VMs', look: checkVms },
  { what: 'vCPU numbers', look: checkVcpus },
];

/** Prints what this host allows, a line each; exit code 2 where `run` lacks something. */
export async function check({ get }: Invocation): Promise<void> {
  const procfs = get('path.procfs') ?? '/proc';
  const inventory = new Inventory({ procfs, live: true, debugfs: '/sys/kernel/debug/kvm' });
  inventory.scan(0);
  const tracing = probeTracefs(get('path.tracefs'));
  try {
    const lines = linesOf({ procfs, sysfs: '/sys', dev: '/dev', tracing, inventory });
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    if (lines.some((line) => line.startsWith('FAIL'))) process.exitCode = 2;
  } finally {
    tracing.release();
  }
}

/** `ok    Node.js         v20.20.2`. */
export function linesOf(host: Checked): string[] {
  return CHECKS.flatMap(({ what, look }) => {
    const found = look(host);
    const findings: readonly (Finding & { readonly what?: string })[] = Array.isArray(found) ? found : [found];
    return findings.map(({ level, text, remedy, what: which = what }) => {
      const line = `${level.padEnd(4)}  ${which.padEnd(14)}  ${text}${remedy === undefined ? '' : `: ${remedy}`}`;
      // Names of VMs are from outside.
      return line.replaceAll(/\p{Cc}/gu, '?');
    });
  });
}

function checkVms({ inventory, procfs }: Checked): readonly (Finding & { readonly what?: string })[] {
  const running = inventory.vms();
  if (running.length === 0) return [ok('none is running now')];
  const known = new Map<string, string[] | undefined>();
  return running.map((vm) => ({ what: 'VM', ...checkVm(vm, inventory.vcpuCount(vm), backendsOf(vm, procfs, known)) }));
}

function checkVm(vm: Vm, vcpus: number, backends: readonly string[] | undefined): Finding {
  const text = `${vm.label}: ${vm.vmm}, pid ${vm.pid}, vCPU threads known: ${vcpus}`;
  if (vm.vmm !== 'qemu') return ok(text);
  if (backends === undefined)
    return warn(
      `${text}, trace backends not known: its binary can't be read`,
      'run check as root with CAP_SYS_PTRACE to see them; run needs none',
    );
  const list = backends.length === 0 ? 'none' : backends.join(', ');
  return ok(`${text}, trace backends: ${list}`);
}

/** Many VMs run one binary: it is read once. */
function backendsOf(vm: Vm, procfs: string, known: Map<string, string[] | undefined>): string[] | undefined {
  if (vm.vmm !== 'qemu') return undefined;
  const exe = join(procfs, String(vm.pid), 'exe');
  const id = tryFileId(exe);
  if (id === undefined) return undefined;
  if (!known.has(id)) known.set(id, qemuBackends(exe));
  return known.get(id);
}

function checkVcpus({ tracing, inventory }: Checked): Finding {
  const ways: string[] = [];
  const carriers = tracing.path === undefined ? [] : carriersOf(tracing.path);
  if (carriers.length > 0) ways.push(`${carriers.join(' and ')} (field vcpu_id)`);
  const unnamed = inventory.vms().filter((vm) => inventory.vcpuCount(vm) === 0);
  if (unnamed.length === 0) ways.push('thread names');
  if (readDebugfsVcpus('/sys/kernel/debug/kvm').size > 0) ways.push('debugfs');
  if (ways.length === 0)
    return fail('nothing tells them', 'start QEMU with -name ...,debug-threads=on, or mount debugfs');
  if (carriers.length > 0 || unnamed.length === 0) return ok(`from ${ways.join(', ')}`);
  const names = unnamed.map(({ label }) => label).join(', ');
  return warn(`from ${ways.join(', ')}; not for ${names}`, 'start QEMU with -name ...,debug-threads=on');
}

/** On x86 the events say it; on arm64, riscv and loongarch they do not. */
function carriersOf(tracefs: string): string[] {
  let events: readonly EventFormat[] = [];
  try {
    ({ events } = readFormats(tracefs));
  } catch {
    // The check of the ring buffers says why.
  }
  const carries = ({ fields }: EventFormat): boolean => fields.some(({ name }) => name === 'vcpu_id');
  return events.filter((event) => /^kvm_(exit|entry)$/.test(event.name) && carries(event)).map(({ name }) => name);
}
