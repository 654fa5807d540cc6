/** Looks at the running VMs, for `check`: who they are, and how their vCPUs get their numbers. */
import { join } from 'node:path';
import type { EventFormat } from '../../decode/format/event-format.js';
import { qemuBackends } from '../../source/qemu/backends.js';
import { readFormats } from '../../source/tracefs/format-files.js';
import { AgentError } from '../../system/errors.js';
import { tryFileId } from '../../system/files.js';
import { readDebugfsVcpus } from '../../vm/host/debugfs.js';
import type { Inventory } from '../../vm/inventory.js';
import type { Vm } from '../../vm/tables/vm.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** One finding for each VM. */
export function checkVms(inventory: Inventory, procfs: string): readonly Finding[] {
  const running = inventory.vms();
  if (running.length === 0) return [ok('none is running now')];
  const backends = new BackendsByBinary(procfs);
  return running.map((vm) => ({ ...checkVm(vm, inventory.vcpuCount(vm), backends), what: 'VM' }));
}

/** @param tracefs undefined if it cannot be used */
export function checkVcpus(inventory: Inventory, tracefs: string | undefined, debugfs: string): Finding {
  const sources: string[] = [];
  const events = tracefs === undefined ? [] : eventsWithVcpu(tracefs);
  if (events.length > 0) sources.push(`${events.join(' and ')} (field vcpu_id)`);
  const unnamed = inventory.vms().filter((vm) => inventory.vcpuCount(vm) === 0);
  if (unnamed.length === 0) sources.push('thread names');
  if (readDebugfsVcpus(debugfs).size > 0) sources.push('debugfs');
  if (sources.length === 0)
    return fail('no source for them', 'start QEMU with -name ...,debug-threads=on, or mount debugfs');
  if (events.length > 0 || unnamed.length === 0) return ok(`from ${sources.join(', ')}`);
  const names = unnamed.map(({ label }) => label).join(', ');
  return warn(`from ${sources.join(', ')}; not for ${names}`, 'start QEMU with -name ...,debug-threads=on');
}

function checkVm(vm: Vm, vcpus: number, backendsByBinary: BackendsByBinary): Finding {
  const text = `${vm.label}: ${vm.vmm}, pid ${vm.pid}, vCPU threads known: ${vcpus}`;
  if (vm.vmm !== 'qemu') return ok(text);
  const backends = backendsByBinary.of(vm);
  if (backends === undefined)
    return warn(
      `${text}, trace backends not known: its binary can't be read`,
      'run check as root with CAP_SYS_PTRACE to see them; run needs none',
    );
  return ok(`${text}, trace backends: ${backends.length === 0 ? 'none' : backends.join(', ')}`);
}

/**
 * The trace backends of QEMU binaries. Many VMs run the same binary, and reading one takes a moment, so each is read
 * once.
 */
class BackendsByBinary {
  readonly #procfs: string;
  /** Backends, keyed by {@link tryFileId} of the binary. */
  readonly #known = new Map<string, readonly string[] | undefined>();

  constructor(procfs: string) {
    this.#procfs = procfs;
  }

  /** Undefined if the process has ended, or its binary cannot be read. */
  of({ pid }: Vm): readonly string[] | undefined {
    const binary = join(this.#procfs, String(pid), 'exe');
    const id = tryFileId(binary);
    if (id === undefined) return undefined;
    if (!this.#known.has(id)) this.#known.set(id, qemuBackends(binary));
    return this.#known.get(id);
  }
}

/**
 * The events that carry the number of the vCPU: on x86 there are some, on arm64, riscv and loongarch there are none.
 */
function eventsWithVcpu(tracefs: string): string[] {
  let events: readonly EventFormat[];
  try {
    ({ events } = readFormats(tracefs));
  } catch (error) {
    if (error instanceof AgentError) return []; // checkPages reports it
    throw error;
  }
  return events
    .filter(({ name, fields }) => /^kvm_(exit|entry)$/.test(name) && fields.some((field) => field.name === 'vcpu_id'))
    .map(({ name }) => name);
}
