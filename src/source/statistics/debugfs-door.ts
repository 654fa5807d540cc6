/**
 * KVM's own statistics in debugfs: `/sys/kernel/debug/kvm/<tid>-<fd>/exits` ... of each VM, sums over its vCPUs. Root
 * may read them. Kernel lockdown refuses every file that may be written (debugfs_locked_down, fs/debugfs/file.c), which
 * is all but the figures of now.
 *
 * Only files whose name is also in the folder above are statistics. Reading another file may be costly: for
 * `mmu_rmaps_stat` the kernel walks all of the guest's memory, and holds the lock that the guest's page faults need.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { debugfsStatistic, debugfsValue } from '../../decode/statistics/debugfs-statistics.js';
import { errnoOf, errnoReason, isGone } from '../../system/errors.js';
import { tryFileId, tryListFolder } from '../../system/files.js';
import type { KvmStatistic, StatisticsPart, StatisticValue } from '../../trace/kvm-statistic.js';

/** A folder of debugfs with the statistics of one VM. */
export interface StatisticsFolder {
  readonly name: string;
  /** Id of the thread that created the VM. */
  readonly creator: number;
}

const MODE_WRITE = 0o222;
/** The longest line is a number of 20 digits. */
const buffer = Buffer.allocUnsafe(32);

export class DebugfsDoor {
  readonly #root: string;
  readonly #isWanted: (name: string) => boolean;
  #statistics: readonly KvmStatistic[] = [];

  /** @param isWanted tells by name whether a statistic is to be read */
  constructor(root: string, isWanted: (name: string) => boolean) {
    this.#root = root;
    this.#isWanted = isWanted;
  }

  /** Finds the VMs that exist now, and the statistics that this kernel has. */
  find(): StatisticsFolder[] {
    const entries = tryListFolder(this.#root);
    if (this.#statistics.length === 0)
      this.#statistics = entries.filter(this.#isWanted).flatMap((name) => this.#statistic(name) ?? []);
    return entries.flatMap((name) => {
      const creator = /^(\d+)-\d+$/.exec(name)?.[1];
      return creator === undefined ? [] : [{ name, creator: Number(creator) }];
    });
  }

  /**
   * Returns the statistics of a VM; a text if they cannot be read: the reason. A process that closes its VM and creates
   * another gets a folder of the same name, as the kernel gives it the same descriptor. The inode is another one then.
   */
  read({ name: folder }: StatisticsFolder): StatisticsPart | string {
    const values: StatisticValue[] = [];
    let problem = 'the VM has ended';
    for (const statistic of this.#statistics) {
      try {
        const value = debugfsValue(readLine(`${this.#root}/${folder}/${statistic.name}`), statistic);
        if (value !== undefined) values.push([statistic, value]);
      } catch (error) {
        if (isGone(error)) continue;
        problem = reasonOf(error);
        // Lockdown closes every total, and figures of now alone are no statistics of a VM.
        if (errnoOf(error) === 'EPERM') return problem;
      }
    }
    const hasTotals = values.some(([{ kind }]) => kind === 'total');
    return hasTotals ? { key: `${folder} ${tryFileId(`${this.#root}/${folder}`)}`, vcpu: '', values } : problem;
  }

  /** Why no folder of a VM can be seen; undefined if there is no reason but that no VM runs. */
  get closed(): string | undefined {
    try {
      statSync(this.#root);
      return undefined;
    } catch (error) {
      return errnoReason(error, {
        ENOENT: 'debugfs is not mounted here, or the kvm module is not loaded',
        EACCES: 'only root may read debugfs',
      });
    }
  }

  #statistic(name: string): KvmStatistic | undefined {
    try {
      const stat = statSync(join(this.#root, name));
      return stat.isFile() ? debugfsStatistic(name, (stat.mode & MODE_WRITE) === 0) : undefined;
    } catch {
      return undefined; // The kvm module is being unloaded.
    }
  }
}

/** Reads without a position: debugfs refuses one with ESPIPE. */
function readLine(path: string): string {
  const file = openSync(path, 'r');
  try {
    return buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, null));
  } finally {
    closeSync(file);
  }
}

function reasonOf(error: unknown): string {
  if (errnoOf(error) === 'EPERM') return 'kernel lockdown closes debugfs';
  return errnoReason(error, { EACCES: 'only root may read debugfs' });
}
