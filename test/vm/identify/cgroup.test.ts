import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CgroupFacts, parseCgroup } from '../../../src/vm/identify/cgroup.js';

const ID = 'fa7f0ec4fbcbb70c69565a5b2d269926e04ec5601dff59235199d6e60198e95c';
const OTHER_ID = '9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d';
const UID = 'dc380811-8168-4a9e-9b4a-56ded1b6fe9c';
const UID_ = 'dc380811_8168_4a9e_9b4a_56ded1b6fe9c';

const CASES: readonly [name: string, text: string, facts: CgroupFacts][] = [
  [
    'systemd driver, besteffort, docker', // github.com: a GPU exporter's comment on Ubuntu 20.04
    `0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UID_}.slice/docker-${ID}.scope\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'systemd driver, burstable, containerd',
    `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID_}.slice/cri-containerd-${ID}.scope\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'systemd driver, guaranteed: no class in the path; CRI-O puts a folder below its scope',
    `0::/kubepods.slice/kubepods-pod${UID_}.slice/crio-${ID}.scope/container\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    "CRI-O's monitor is not the container",
    `0::/kubepods.slice/kubepods-pod${UID_}.slice/crio-conmon-${ID}.scope\n`,
    { podUid: UID },
  ],
  ['cgroupfs driver, guaranteed', `0::/kubepods/pod${UID}/${ID}\n`, { podUid: UID, containerId: ID }],
  [
    'cgroupfs driver, v1: many lines, some without the pod', // Qard/container-info test/fixtures
    `11:devices:/kubepods/besteffort/pod${UID}/${ID}\n4:memory:/kubepods/besteffort/pod${UID}/${ID}\n2:rdma:/\n1:name=systemd:/user.slice\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'containerd set up for the wrong driver',
    `0::/system.slice/containerd.service/kubepods-burstable-pod${UID_}.slice:cri-containerd:${ID}\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    "kind: a node is a container itself, and the kubelet's root has its name in front",
    `0::/docker/${OTHER_ID}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${UID_}.slice/cri-containerd-${ID}.scope\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'a static pod has 32 hex digits',
    '0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podc2ee8f5b1a3c4d5e6f708192a3b4c5d6.slice\n',
    { podUid: 'c2ee8f5b1a3c4d5e6f708192a3b4c5d6' },
  ],
  [
    'KubeVirt with dedicated CPUs moves threads one deeper',
    `0::/kubepods.slice/kubepods-pod${UID_}.slice/cri-containerd-${ID}.scope/housekeeping\n`,
    { podUid: UID, containerId: ID },
  ],
  // Seen on Linux 6.18 with cat in a cgroup namespace (unshare -C) of another pod.
  [
    'cgroupfs driver, seen from a container of another class',
    `0::/../../burstable/pod${UID}/${ID}\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'cgroupfs driver, seen from a container of the same class',
    `0::/../../pod${UID}/${ID}\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'systemd driver, seen from a container of the same class',
    `0::/../../kubepods-burstable-pod${UID_}.slice/cri-containerd-${ID}.scope\n`,
    { podUid: UID, containerId: ID },
  ],
  ['outside of Kubernetes a folder may be called like a pod', `0::/lab/pod${UID}/${ID}\n`, { containerId: ID }],
  ['docker', `0::/system.slice/docker-${ID}.scope\n`, { containerId: ID }],
  ['docker, cgroupfs', `9:cpu:/docker/${ID}\n`, { containerId: ID }],
  ['podman', `0::/machine.slice/libpod-${ID}.scope/container\n`, { containerId: ID }],
  ['Kata, the process: no pod', `0::/kata_overhead/${ID}\n`, { containerId: ID }],
  ['Kata, short id', '4:memory:/kata_overhead/b1\n', { containerId: 'b1' }],
  [
    'Kata, a vCPU thread', // kata-containers docs/design/host-cgroups.md
    `4:memory:/kubepods/burstable/pod${UID}/kata_${ID}\n3:cpu:/kata_overhead/${ID}\n`,
    { podUid: UID, containerId: ID },
  ],
  [
    'Kata 1.x outside of Kubernetes', // kata-containers/runtime#1972
    '11:memory:/kata/default/kata_9f49ba797580a17bdc1ab6881af038246bb93fa3dbfaa5f91c5b4bdb2b785777\n10:hugetlb:/\n',
    { containerId: '9f49ba797580a17bdc1ab6881af038246bb93fa3dbfaa5f91c5b4bdb2b785777' },
  ],
  [
    'libvirt with systemd',
    '0::/machine.slice/machine-qemu\\x2d3\\x2dvm\\x2da.scope/libvirt/emulator\n',
    { libvirtScope: 'vm-a' },
  ],
  [
    'OpenStack', // kernel log of a nova host
    '5:cpu,cpuacct:/machine.slice/machine-qemu\\x2d1\\x2dinstance\\x2d0000001d.scope/emulator\n',
    { libvirtScope: 'instance-0000001d' },
  ],
  [
    'libvirt keeps dots, and escapes bytes of UTF-8',
    '0::/machine.slice/machine-qemu\\x2d2\\x2dubuntu20.04\\x2d\\xc3\\xbc.scope\n',
    { libvirtScope: 'ubuntu20.04-ü' },
  ],
  ['libvirt without systemd', '0::/machine/qemu-7-web.libvirt-qemu/vcpu0\n', { libvirtScope: 'web' }],
  ['Proxmox', '0::/qemu.slice/100.scope\n', { vmId: '100' }],
  ['a user at the terminal', '0::/user.slice/user-1000.slice/session-1.scope\n', {}],
  ['podlike names outside of Kubernetes', `0::/system.slice/pod${UID}\n`, {}],
  ['root', '0::/\n', {}],
  ['nothing', '', {}],
  ['rubbish', 'no colons\n::\n:\n0:x\n\0\n', {}],
];

for (const [name, text, facts] of CASES) {
  test(`parseCgroup: ${name}`, () => assert.deepEqual(parseCgroup(text), facts));
}
