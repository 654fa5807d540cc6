import { join } from 'node:path';
import { tryListFolder, tryReadText } from '../../system/files.js';
import { KVM_DEBUGFS } from './debugfs.js';

/**
 * KVM's own statistics of each VM (`/sys/kernel/debug/kvm/<tid>-<fd>/exits` ...): a line of JSON for each VM. Empty if
 * debugfs is not mounted, or closed by kernel lockdown.
 * @param when a moment of a recording, see src/audit/readings.ts
 */
export function noteKvmStatistics(when: 'start' | 'started' | 'stopping' | 'end', folder = KVM_DEBUGFS): string {
  const lines = tryListFolder(folder).flatMap((vm) => {
    if (!/^\d+-\d+$/.test(vm)) return [];
    const values = tryListFolder(join(folder, vm)).flatMap((name) => {
      const text = tryReadText(join(folder, vm, name));
      return text !== undefined && /^\d+\n$/.test(text) ? [[name, Number(text)]] : [];
    });
    return values.length === 0 ? [] : [JSON.stringify({ statistics: when, vm, values: Object.fromEntries(values) })];
  });
  return lines.map((line) => `${line}\n`).join('');
}
