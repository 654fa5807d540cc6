/** Memory that is not there yet, or that is watched. */
import type { Rule } from './rule.js';

export const MEMORY_RULES: readonly Rule[] = [
  {
    id: 'page-faults',
    title: "The guest's memory is filled page by page",
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['EPT_VIOLATION', 'npf', 'IABT_LOW'] }],
    perVcpuSecond: 5000,
    when: { minMeanSeconds: 0.000005 },
    cause:
      'The guest touches memory for the first time, gets back what ballooning, KSM or swapping took, or writes to pages that a migration watches.',
    why: 'Each page of 4 KiB is a fault in the host, some microseconds each. Huge pages need one for 2 MiB. Where memory is allocated at the start, each fault is shorter, as the host need not clear the page.',
    changes: {
      host: 'Reserve huge pages; no swapping for VMs; balloon in small steps.',
      qemu: '-m 2G -object memory-backend-memfd,id=ram0,size=2G,prealloc=on -machine memory-backend=ram0,mem-merge=off',
      libvirt: '<memoryBacking><hugepages/><nosharepages/><allocation mode="immediate"/></memoryBacking>',
      kubevirt: 'domain.memory.hugepages.pageSize: 2Mi',
      proxmox: 'qm set VMID --numa 1 --hugepages 2 --balloon 0',
    },
    sources: [
      'https://github.com/cloud-hypervisor/cloud-hypervisor/issues/6060',
      'https://libvirt.org/formatdomain.html',
    ],
  },
  {
    id: 'nx-huge-pages',
    title: 'KVM splits huge pages from which the guest runs code',
    severity: 'info',
    confidence: 'medium',
    matches: [{ faults: ['protected_exec'] }],
    perVcpuSecond: 500,
    cause:
      'The host guards itself against iTLB multihit (kvm.nx_huge_pages): no huge page is executable, so the first fetch from each splits it.',
    why:
      'A split page takes a fault for each 4 KiB of code, and needs more TLB entries from then on. KVM joins split pages again in the course of an hour, and then the faults come back: they are bursts. ' +
      'kvm_stat_current{stat="nx_lpage_splits"} (with --collector.kvm-stats.all) is how many pages are split now.',
    changes: {
      host: 'CPUs without this fault need no guard: /sys/devices/system/cpu/vulnerabilities/itlb_multihit. On these, or if every guest is trusted: kvm.nx_huge_pages=never. Otherwise a longer kvm.nx_huge_pages_recovery_period_ms makes the bursts rarer.',
    },
    sources: [
      'https://docs.kernel.org/admin-guide/hw-vuln/multihit.html',
      'https://git.kernel.org/torvalds/c/1aa9b9572b10',
    ],
  },
  {
    id: 'dirty-logging',
    title: 'KVM logs which pages the guest writes',
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['PML_FULL', 'pml_full'] }],
    perVcpuSecond: 10,
    when: { hasNoCost: true },
    cause: 'A live migration, a backup or a display watches the memory of the guest.',
    why:
      'Each first write to a page is an exit or fills a log, and large pages are split, which can stop a vCPU for hundreds of milliseconds. It ends with the migration. ' +
      'A dirty ring does not spare these exits: the kernel fills it from the same log.',
    changes: {
      host: 'kvm.eager_page_split=1 splits pages before the guest writes to them. The pauses end; the exits for full logs stay.',
    },
    check:
      'These exits, and the finding, end with the migration only. While it lasts, the change shows in the longest times ' +
      'of page faults (`npf` on AMD), which fall:\n\n' +
      '    histogram_quantile(0.99, sum by (instance, vm, le) ' +
      '(rate(kvm_exit_duration_seconds_bucket{layer="kvm",reason=~"EPT_VIOLATION|npf"}[1m])))',
    sources: [
      'https://github.com/torvalds/linux/blob/v6.12/virt/kvm/dirty_ring.c',
      'https://github.com/cloud-hypervisor/cloud-hypervisor/issues/8899',
      'https://docs.kernel.org/virt/kvm/api.html',
    ],
  },
  {
    id: 'dirty-ring-full',
    title: 'The guest fills its dirty rings',
    severity: 'info',
    confidence: 'medium',
    matches: [{ exits: 'qemu', reasons: ['KVM_EXIT_DIRTY_RING_FULL'] }],
    perVcpuSecond: 10,
    cause:
      'While QEMU logs which pages the guest writes, as for a migration, a vCPU writes to more pages than its ring holds.',
    why:
      'The vCPU waits until QEMU has emptied the rings of all vCPUs, which QEMU otherwise does once a second. So a ring is large enough if it holds what a vCPU writes in a second: 16384 pages are 64 MiB, and 65536 are the most. ' +
      'It ends with the migration. With a dirty limit, QEMU lets the vCPU sleep, too, so that the migration can end.',
    changes: {
      qemu: '-accel kvm,dirty-ring-size=16384',
      libvirt: "<features><kvm><dirty-ring state='on' size='16384'/></kvm></features>",
    },
    sources: [
      'https://www.qemu.org/docs/master/system/qemu-manpage.html',
      'https://www.qemu.org/docs/master/devel/migration/dirty-limit.html',
      'https://docs.kernel.org/virt/kvm/api.html',
    ],
  },
];
