/**
 * The files in KVM's debugfs folder of a VM (virt/kvm/kvm_main.c, Linux 4.8 and later). A file holds a number and no
 * unit: the sum over the vCPUs, or the VM's own value.
 *
 *   -rw-r--r-- exits            a total
 *   -rw-r--r-- halt_wait_ns     a time
 *   -rw-r--r-- halt_wait_hist   only the first counter of a histogram
 *   -rw-r--r-- max_mmu_rmap_size
 *   -r--r--r-- pages_4k         a figure of now, which cannot be set to 0
 */
import { isStatisticName, type KvmStatistic } from '../../trace/kvm-statistic.js';

/**
 * The statistic in a file; undefined if the file holds none, or only a part of one.
 * @param isReadOnly true if the file's mode has no right to write
 */
export function debugfsStatistic(name: string, isReadOnly: boolean): KvmStatistic | undefined {
  if (!isStatisticName(name) || name.endsWith('_hist')) return undefined;
  const kind = isReadOnly || name.startsWith('max_') ? 'current' : 'total';
  return { name, kind, isTime: name.endsWith('_ns'), length: 1 };
}

/** The value in a file, `1234\n`; undefined if the text is something else. */
export function debugfsValue(text: string, { isTime }: KvmStatistic): number | undefined {
  if (!/^\d{1,20}\n?$/.test(text)) return undefined;
  return Number(text) * (isTime ? 1e-9 : 1);
}
