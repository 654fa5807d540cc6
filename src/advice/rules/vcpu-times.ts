/** Time of vCPUs in which their guests get nowhere, though no exit is to blame. */
import type { Rule } from './rule.js';

export const VCPU_TIME_RULES: readonly Rule[] = [
  {
    id: 'waiting-for-cpu',
    title: 'vCPUs wait for a CPU of the host',
    severity: 'warning',
    confidence: 'high',
    matches: [{ state: 'ready' }],
    perVcpuSecond: 0.1,
    cause:
      'Other threads have the CPU, because the host has more busy vCPUs than CPUs; or the CPU quota of the VM is used up.',
    why:
      'A vCPU that waits is ready to run. Its guest stands still meanwhile, and may show it as steal time. ' +
      'Exits of such a VM take long, whatever their reason: look for other findings after this one is gone.',
    changes: {
      guest: 'Fewer vCPUs, if most of them are idle.',
      host: 'A quota shows in nr_throttled, in cpu.stat of the cgroup of the VM: raise it. Otherwise pin the vCPUs to CPUs of their own, or move a VM to another host.',
      libvirt: '<cputune><shares>2048</shares><quota>-1</quota></cputune>',
      kubevirt: 'domain.cpu: {dedicatedCpuPlacement: true}',
      proxmox: 'qm set VMID --cpulimit 0 --cpuunits 200',
    },
    sources: [
      'https://github.com/prometheus-operator/kube-prometheus/pull/796',
      'https://github.com/kubevirt/kubevirt/issues/10075',
      'https://docs.kernel.org/scheduler/sched-bwc.html',
    ],
  },
  {
    id: 'halt-polling',
    title: 'KVM polls for work while vCPUs are idle',
    severity: 'info',
    confidence: 'high',
    matches: [{ statistics: ['halt_poll_success_ns', 'halt_poll_fail_ns'] }],
    perVcpuSecond: 0.2,
    cause:
      'The guest is idle, but wakes up every few hundred microseconds: a timer, or threads that wait for each other.',
    why:
      'Before KVM lets an idle vCPU sleep, it polls for up to kvm.halt_poll_ns (200,000 by default), so the host sees a busy CPU and the guest an idle one. ' +
      'Time in halt_poll_fail_ns is wasted. Time in halt_poll_success_ns makes the guest wake up sooner by some 10 us.',
    changes: {
      guest:
        'Fewer wakeups: a tickless kernel, longer timers. Linux with cpuidle_haltpoll polls in the guest, and switches the polling of KVM off.',
      host: 'echo 50000 > /sys/module/kvm/parameters/halt_poll_ns; 0 switches polling off.',
    },
    sources: [
      'https://docs.kernel.org/virt/kvm/halt-polling.html',
      'https://docs.kernel.org/virt/guest-halt-polling.html',
      'https://github.com/cha87de/kvmtop/issues/33',
    ],
  },
];
