/**
 * What `virsh domstats --raw --vcpu --vm` prints (libvirt 8.9 and later, which asks QEMU's query-stats):
 *
 *   Domain: 'web-1'
 *     vcpu.current=2
 *     vcpu.0.state=1
 *     vcpu.0.exits.sum=2344          a total
 *     vcpu.0.halt_wait_ns.sum=120200410
 *     vcpu.0.blocking.cur=no         a figure of now
 *     vm.max_mmu_rmap_size.max=0
 *
 * Histograms are not in it. The names are the kernel's; libvirt's own figures have no ending.
 */
import {
  isStatisticName,
  type KvmStatistic,
  type StatisticsPart,
  type StatisticValue,
} from '../../trace/kvm-statistic.js';

const KINDS: ReadonlyMap<string, KvmStatistic['kind']> = new Map([
  ['sum', 'total'],
  ['cur', 'current'],
  ['max', 'current'],
]);
const VALUES: ReadonlyMap<string, number> = new Map([
  ['yes', 1],
  ['no', 0],
]);
const MAX_DOMAINS = 4096;
const MAX_VCPUS = 4096;
/** Values that are kept: 1,000 VMs of 8 vCPUs have 480,000 of 60 statistics. A QEMU may have any number of its own. */
const MAX_VALUES = 500_000;
/** Values of one VM or vCPU; KVM has about 60 statistics on x86 and 110 on s390. */
const MAX_PART_VALUES = 256;
const MAX_LINE = 1024;

/** Reads the text piece by piece. */
export class DomstatsReader {
  /** Name of the domain -> number of the vCPU, '' for the VM -> its values. */
  readonly #domains = new Map<string, Map<string, StatisticValue[]>>();
  readonly #isWanted: (name: string) => boolean;
  readonly #statistics = new Map<string, KvmStatistic>();
  #parts: Map<string, StatisticValue[]> | undefined;
  #rest = '';
  #size = 0;

  /** @param isWanted tells by name whether a statistic is to be read */
  constructor(isWanted: (name: string) => boolean) {
    this.#isWanted = isWanted;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.#line(line);
  }

  /** Name of each domain -> its statistics. */
  domains(): Map<string, StatisticsPart[]> {
    return new Map(
      Array.from(this.#domains, ([name, parts]) => [
        name,
        Array.from(parts, ([vcpu, values]) => ({ key: vcpu === '' ? 'vm' : `vcpu ${vcpu}`, vcpu, values })),
      ]),
    );
  }

  #line(line: string): void {
    const name = /^Domain: '(.*)'$/.exec(line)?.[1];
    if (name !== undefined) {
      // Of two domains with one name, neither is known.
      this.#parts = this.#domains.has(name) || this.#domains.size >= MAX_DOMAINS ? undefined : new Map();
      if (this.#parts !== undefined) this.#domains.set(name, this.#parts);
      return;
    }
    const match = /^ {2}(?:vm|vcpu\.(\d{1,4}))\.([^.=]+)\.(sum|cur|max)=(\w{1,20})$/.exec(line);
    if (match === null || this.#parts === undefined) return;
    const [, vcpu = '', statName = '', ending = '', text = ''] = match;
    const statistic = this.#statistic(statName, KINDS.get(ending) ?? 'current');
    const value = VALUES.get(text) ?? (/^\d+$/.test(text) ? Number(text) : Number.NaN);
    if (statistic === undefined || Number.isNaN(value) || Number(vcpu) >= MAX_VCPUS) return;
    const values = this.#parts.get(vcpu) ?? [];
    if (values.length >= MAX_PART_VALUES || this.#size++ >= MAX_VALUES) return;
    this.#parts.set(vcpu, values);
    values.push([statistic, statistic.isTime ? value * 1e-9 : value]);
  }

  #statistic(name: string, kind: KvmStatistic['kind']): KvmStatistic | undefined {
    if (!isStatisticName(name) || !this.#isWanted(name)) return undefined;
    const known = this.#statistics.get(name) ?? { name, kind, isTime: name.endsWith('_ns'), length: 1 };
    if (this.#statistics.size < MAX_DOMAINS) this.#statistics.set(name, known);
    return known;
  }
}
