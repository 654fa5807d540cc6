import { closeSync, readSync } from 'node:fs';
import { tryListFolder } from '../../system/files.js';
import { openRegularFile } from '../../system/regular-file.js';
import { KVM_DEBUGFS } from './debugfs.js';

const VM_FOLDER = /^\d+-\d+$/;
/** The longest number has 20 digits. */
const line = Buffer.allocUnsafe(32);

/**
 * KVM's own statistics of each VM (`/sys/kernel/debug/kvm/<tid>-<fd>/exits` ...): a line of JSON for each VM. Empty if
 * debugfs is not mounted, or closed by kernel lockdown.
 *
 * Only files whose name is also in the folder above are statistics. Reading another one may be costly: for
 * `mmu_rmaps_stat` the kernel walks the guest's memory under a lock that the guest's page faults need. A copy lacks the
 * files above, and every file of it may be read.
 * @param when a moment of a recording, see src/audit/readings.ts
 */
export function noteKvmStatistics(when: 'start' | 'started' | 'stopping' | 'end', folder = KVM_DEBUGFS): string {
  const entries = tryListFolder(folder);
  const statistics = new Set(entries.filter((name) => !VM_FOLDER.test(name)));
  const lines = entries.flatMap((vm) => {
    if (!VM_FOLDER.test(vm)) return [];
    const all = tryListFolder(`${folder}/${vm}`);
    const named = all.filter((name) => statistics.has(name));
    const values = (named.length > 0 ? named : all).flatMap((name) => {
      const value = readNumber(folder, vm, name);
      return value === undefined ? [] : [[name, value]];
    });
    return values.length === 0 ? [] : [JSON.stringify({ statistics: when, vm, values: Object.fromEntries(values) })];
  });
  return lines.map((text) => `${text}\n`).join('');
}

/**
 * Undefined for a file that is no regular one, cannot be read, or holds something else. Reads without a position:
 * debugfs refuses one with ESPIPE.
 */
function readNumber(folder: string, vm: string, name: string): number | undefined {
  let file: number | undefined;
  try {
    file = openRegularFile(folder, [vm, name]);
    const text = line.toString('latin1', 0, readSync(file, line, 0, line.length, null));
    return /^\d+\n$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
