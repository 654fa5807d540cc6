/** Looks for KVM's own statistics of the running VMs, for `check`: which door is open, and why another is closed. */
import { expandGlob } from '../../source/files/glob.js';
import { askQmp } from '../../source/qemu/ask-qmp.js';
import { DebugfsDoor } from '../../source/statistics/debugfs-door.js';
import { QmpDoor } from '../../source/statistics/qmp-door.js';
import { readDomstats } from '../../source/statistics/virsh-door.js';
import type { Inventory } from '../../vm/inventory.js';
import { SocketSpeakers } from '../../vm/sockets/socket-speakers.js';
import type { Vm } from '../../vm/tables/vm.js';
import { type Finding, ok, warn } from './finding.js';

export interface StatisticsProbe {
  readonly inventory: Inventory;
  readonly procfs: string;
  readonly debugfs: string;
  /** Patterns of paths of QMP sockets. */
  readonly qmp: readonly string[];
  /** True if libvirt is asked, too. */
  readonly virsh: boolean;
}

const MAX_SOCKETS = 64;
const REMEDY =
  'give QEMU a QMP socket for the agent (--qemu.qmp), run as root without lockdown, or on a libvirt host give --collector.kvm-stats.virsh';
const anyStatistic = () => true;

/** One finding for each VM, and one for each QMP socket that cannot be used. */
export async function probeStatistics(probe: StatisticsProbe): Promise<readonly Finding[]> {
  const vms = probe.inventory.vms();
  if (vms.length === 0) return [ok('not known: no VM is running now')];
  const problems: Finding[] = [];
  const byQmp = await askSockets(probe, problems);
  const closed = new DebugfsDoor(probe.debugfs, anyStatistic).closed;
  const byDebugfs = readFolders(probe);
  const byVirsh = probe.virsh ? await askLibvirt(problems) : new Set<string>();
  const findings = vms.map((vm): Finding => {
    const socket = byQmp.get(vm);
    const folder = closed ?? byDebugfs.get(vm) ?? 'no folder of this VM';
    const closedFolder = folder === '' ? '' : `; debugfs: ${folder}`;
    if (socket !== undefined) return ok(`${vm.label}: over QMP (${socket}), for each vCPU${closedFolder}`);
    if (folder === '') return ok(`${vm.label}: from debugfs, all vCPUs together; no QMP socket of it is known`);
    if (byVirsh.has(vm.name)) return ok(`${vm.label}: from libvirt, for each vCPU${closedFolder}`);
    return warn(`${vm.label}: none; no QMP socket of it is known${closedFolder}`, REMEDY);
  });
  return [...findings, ...problems];
}

/** VM -> its socket. */
async function askSockets({ inventory, procfs, qmp }: StatisticsProbe, problems: Finding[]): Promise<Map<Vm, string>> {
  const found = new Map<Vm, string>();
  const paths = qmp.flatMap((pattern) => expandGlob(pattern)).slice(0, MAX_SOCKETS);
  const speakers = new SocketSpeakers(inventory, procfs);
  // The search alone does not keep a program running: an agent that is stopped does not wait for it.
  const keepRunning = setInterval(() => {}, 1000);
  await speakers.search(paths).finally(() => clearInterval(keepRunning));
  const ask = async (path: string) => {
    try {
      await askQmp(path, async (client) => {
        const vm = speakers.vmOf(path, await client.identity());
        if (vm === undefined) throw new Error(`${path}: belongs to no running VM`);
        await new QmpDoor(anyStatistic).read(client, ({ index }) => index);
        found.set(vm, path);
      });
    } catch (error) {
      problems.push(warn(messageOf(error), 'give each VM a socket that no other client uses; QEMU 7.1 or later'));
    }
  };
  await Promise.all(paths.map(ask));
  return found;
}

/** VM -> why debugfs does not show its statistics; '' if it does. */
function readFolders({ inventory, debugfs }: StatisticsProbe): Map<Vm, string> {
  const door = new DebugfsDoor(debugfs, anyStatistic);
  const answers = new Map<Vm, string>();
  for (const folder of door.find()) {
    const vm = inventory.find(folder.creator)?.vm;
    const part = door.read(folder);
    if (vm !== undefined && answers.get(vm) !== '') answers.set(vm, typeof part === 'string' ? part : '');
  }
  return answers;
}

/** Names of the VMs that libvirt has statistics of. */
async function askLibvirt(problems: Finding[]): Promise<Set<string>> {
  try {
    const domains = await readDomstats(anyStatistic);
    return new Set([...domains].flatMap(([name, parts]) => (parts.length > 0 ? [name] : [])));
  } catch (error) {
    problems.push(warn(messageOf(error), 'start libvirtd, or leave out --collector.kvm-stats.virsh'));
    return new Set();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
