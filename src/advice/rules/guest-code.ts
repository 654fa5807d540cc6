/** Instructions of the guest that always exit. */
import type { Rule } from './rule.js';

/** Registers of the performance counters, and those that start, stop and acknowledge them. */
const COUNTER_REGISTERS = [
  ...['IA32_PMC0', 'IA32_PMC1', 'IA32_PMC2', 'IA32_PMC3'],
  ...['IA32_PERFEVTSEL0', 'IA32_PERFEVTSEL1', 'IA32_PERFEVTSEL2', 'IA32_PERFEVTSEL3'],
  ...['IA32_FIXED_CTR0', 'IA32_FIXED_CTR1', 'IA32_FIXED_CTR2', 'IA32_FIXED_CTR_CTRL'],
  ...['IA32_PERF_GLOBAL_STATUS', 'IA32_PERF_GLOBAL_CTRL', 'IA32_PERF_GLOBAL_OVF_CTRL', 'IA32_PEBS_ENABLE'],
  ...['K7_EVNTSEL0', 'K7_PERFCTR0', 'F15H_PERF_CTL0', 'F15H_PERF_CTR0'],
];

export const GUEST_CODE_RULES: readonly Rule[] = [
  {
    id: 'short-sleeps',
    title: 'The guest falls asleep and wakes very often',
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['HLT', 'hlt', 'WFx', 'IDLE', 'idle-halt'] }],
    perVcpuSecond: 10_000,
    when: { maxMeanSeconds: 0.0002, hasNoCost: true },
    cause: 'Threads of the guest hand work to each other, and each waits idle until the other has answered.',
    why: 'Each sleep is an exit and each wakeup an interrupt from another CPU, so a message takes tens of microseconds more than on bare metal. Polling for a moment before sleeping avoids both. What that saves is not known, as the guest is idle meanwhile.',
    changes: {
      guest: 'Linux: cpuidle_haltpoll (modprobe cpuidle-haltpoll force=1) with guest_halt_poll_ns=200000.',
      host: 'kvm.halt_poll_ns decides how long KVM itself polls before the vCPU sleeps.',
      qemu: '-overcommit cpu-pm=on',
    },
    sources: [
      'https://docs.kernel.org/virt/guest-halt-polling.html',
      'https://docs.kernel.org/virt/kvm/halt-polling.html',
      'https://github.com/cloudius-systems/osv/issues/1476',
    ],
  },
  {
    id: 'spinning-locks',
    title: 'vCPUs spin on locks',
    severity: 'warning',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['PAUSE_INSTRUCTION', 'pause'] }],
    perVcpuSecond: 10_000,
    cause:
      'A vCPU waits for a lock whose holder has no host CPU at the moment: the host has more busy vCPUs than CPUs.',
    why: 'Pause-loop exiting lets another vCPU run instead. Many of these exits mean that the guest spends its time waiting. Where each vCPU has a CPU of its own, they cost and help nothing.',
    changes: {
      guest: 'Linux: CONFIG_PARAVIRT_SPINLOCKS; fewer vCPUs if most are idle.',
      host: 'Pin vCPUs, or move VMs away. With dedicated CPUs: kvm_intel.ple_gap=0, or -overcommit cpu-pm=on.',
      qemu: '-cpu host,hv-spinlocks=0xfff',
      libvirt: "<features><hyperv mode='custom'><spinlocks state='on' retries='4095'/></hyperv></features>",
      kubevirt: 'domain.features.hyperv.spinlocks: {spinlocks: 4095}',
    },
    sources: ['https://www.qemu.org/docs/master/system/i386/hyperv.html'],
  },
  {
    id: 'cpuid-loop',
    title: 'A program in the guest executes CPUID in a loop',
    severity: 'warning',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['CPUID', 'cpuid'] }],
    perVcpuSecond: 10_000,
    cause:
      'CPUID serves as a barrier around time measurements, or a copy protection or anti-cheat program asks for it.',
    why: 'CPUID always leaves the guest on Intel and AMD; no setting of the host changes that. It takes a thousand times as long as on bare metal.',
    changes: {
      guest: 'Find the program (perf top in the guest); replace CPUID by LFENCE or RDTSCP where it is a barrier.',
    },
    sources: ['https://www.felixcloutier.com/x86/cpuid', 'https://github.com/jonomango/hv/issues/23'],
  },
  {
    id: 'nested-hypervisor',
    title: 'The guest runs a hypervisor of its own',
    severity: 'info',
    confidence: 'high',
    matches: [
      {
        exits: 'kvm',
        reasons: [
          'VMREAD',
          'VMWRITE',
          'VMRESUME',
          'VMLAUNCH',
          'VMPTRLD',
          'VMPTRST',
          'VMCLEAR',
          'INVEPT',
          'INVVPID',
          'vmrun',
          'vmload',
          'vmsave',
          'stgi',
          'clgi',
          'invlpga',
        ],
      },
    ],
    perVcpuSecond: 1000,
    cause: 'Virtualization-based security of Windows (VBS, HVCI), WSL2, Docker Desktop, or a nested VM.',
    why: 'Each exit of the inner guest becomes several of the outer one. 10 to 30 % of the CPU have been measured for VBS alone.',
    changes: {
      guest: 'Windows: switch off memory integrity and VBS, if your policy allows it.',
      qemu: '-cpu host,hv-relaxed,hv-vapic,hv-vpindex,hv-synic,hv-time,hv-stimer,hv-evmcs,hv-emsr-bitmap',
      libvirt:
        "<features><hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><vpindex state='on'/><synic state='on'/><stimer state='on'/><evmcs state='on'/></hyperv></features>" +
        "<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>",
    },
    sources: [
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
      'https://github.com/alauda/knowledge/pull/539',
    ],
  },
  {
    id: 'split-locks',
    title: 'A program in the guest takes split locks',
    severity: 'warning',
    confidence: 'high',
    matches: [
      { exits: 'kvm', reasons: ['BUS_LOCK', 'buslock', 'AC excp'] },
      { exits: 'qemu', reasons: ['KVM_EXIT_X86_BUS_LOCK'] },
    ],
    perVcpuSecond: 10,
    cause: 'An atomic instruction crosses a cache line, and the host slows down the vCPU that does that.',
    why: 'A split lock stops the memory bus of the whole host. Linux delays the vCPU by milliseconds each time, so the guest seems to hang.',
    changes: {
      guest: 'Find and align the data (perf stat -e sq_misc.split_lock).',
      host: 'sysctl kernel.split_lock_mitigate=0 lifts the delay, at the price of the other tenants.',
      qemu: '-accel kvm -machine bus-lock-ratelimit=100',
    },
    sources: ['https://github.com/lf-edge/eve/issues/3611', 'https://docs.kernel.org/arch/x86/buslock.html'],
  },
  {
    id: 'guest-profiler',
    title: 'The guest reads performance counters',
    severity: 'info',
    confidence: 'high',
    matches: [
      { exits: 'kvm', reasons: ['RDPMC', 'rdpmc'] },
      { msrs: COUNTER_REGISTERS, direction: 'read' },
      { msrs: COUNTER_REGISTERS, direction: 'write' },
    ],
    perVcpuSecond: 1000,
    cause: 'A profiler, a monitoring agent or the NMI watchdog of the guest uses the virtual PMU.',
    why: 'Each read and each overflow leaves the guest.',
    changes: {
      guest: 'Linux: sysctl kernel.nmi_watchdog=0; read counters less often.',
      qemu: '-cpu host,pmu=off',
      libvirt: "<features><pmu state='off'/></features>",
    },
    sources: ['https://github.com/Atoptool/atop/pull/61', 'https://github.com/kata-containers/runtime/issues/2558'],
  },
  {
    id: 'rapl-in-guest',
    title: 'The guest reads MSRs that QEMU answers',
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'qemu', reasons: ['KVM_EXIT_X86_RDMSR', 'KVM_EXIT_X86_WRMSR'] }],
    perVcpuSecond: 100,
    cause:
      'A power meter in the guest reads RAPL (MSRs 0x606, 0x611 ...), which QEMU answers with -accel kvm,rapl=true.',
    why: 'KVM passes filtered MSRs to QEMU, so each read is a whole round trip.',
    changes: {
      guest: 'Read the energy counters less often.',
      qemu: '-accel kvm',
    },
    sources: ['https://www.qemu.org/docs/master/specs/rapl-msr.html'],
  },
  {
    id: 'notify-exit',
    title: 'The guest keeps its CPU from leaving guest mode',
    severity: 'warning',
    confidence: 'medium',
    matches: [
      { exits: 'kvm', reasons: ['NOTIFY'] },
      { exits: 'qemu', reasons: ['KVM_EXIT_NOTIFY'] },
    ],
    perVcpuSecond: 0.01,
    when: { hasNoCost: true },
    cause:
      'An attack on the host, or a fault of the microcode: the CPU had no chance to exit within the notify window.',
    why: 'QEMU ends the VM or lets it run, as -accel kvm,notify-vmexit says.',
    changes: {
      host: 'Look at what runs in this VM; keep it away from other VMs.',
      qemu: '-accel kvm,notify-vmexit=run',
    },
    sources: ['https://www.qemu.org/docs/master/system/qemu-manpage.html'],
  },
];
