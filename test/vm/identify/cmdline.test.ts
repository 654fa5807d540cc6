import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identifyVmm, unknownVmm, type VmmIdentity } from '../../../src/vm/identify/cmdline.js';

const SANDBOX = '39083257ece670d208aa2010c1d25d74490942858af1854c99c6f95c33b9d8d6';

interface Case {
  name: string;
  /** Separated by ` | `, as blanks belong to arguments. */
  line: string;
  comm?: string;
  inPod?: boolean;
  is: VmmIdentity | undefined;
}

const CASES: readonly Case[] = [
  {
    name: "the project's own recordings",
    line: '/opt/traced-qemu-7.2.22-01/qemu-system-x86_64 | -accel | kvm | -machine | pc,kernel_irqchip=on | -m | 16 | -name | guest=vm-a,debug-threads=on | -uuid | 11111111-2222-3333-4444-55555555555a | -D | /out/vm-a.log',
    is: { vmm: 'qemu', name: 'vm-a', uuid: '11111111-2222-3333-4444-55555555555a' },
  },
  {
    name: 'KubeVirt', // kubevirt/kubevirt#6567
    line: '/usr/libexec/qemu-kvm | -name | guest=default_testvm-2,debug-threads=on | -S | -object | secret,id=masterKey0,format=raw,file=/var/lib/libvirt/qemu/domain-1-default_testvm-2/master-key.aes | -machine | pc-q35-rhel8.4.0,accel=kvm,usb=off,dump-guest-core=off,memory-backend=pc.ram | -m | 62 | -uuid | 0e44be5a-ff12-52fb-9413-07b52f3593c3 | -smbios | type=1,manufacturer=KubeVirt,product=None,uuid=0e44be5a-ff12-52fb-9413-07b52f3593c3,family=KubeVirt | -no-user-config',
    comm: 'qemu-kvm',
    is: {
      vmm: 'qemu',
      manager: 'kubevirt',
      name: 'default_testvm-2',
      uuid: '0e44be5a-ff12-52fb-9413-07b52f3593c3',
      namespace: 'default',
      vmi: 'testvm-2',
    },
  },
  {
    name: 'KubeVirt by its disks', // kubevirt/kubevirt#7360 (namespace "cie")
    line: '/usr/libexec/qemu-kvm | -name | guest=cie_mgt10,debug-threads=on | -blockdev | {"driver":"file","filename":"/var/run/kubevirt-private/vmi-disks/d/disk.img"}',
    is: { vmm: 'qemu', manager: 'kubevirt', name: 'cie_mgt10', uuid: '', namespace: 'cie', vmi: 'mgt10' },
  },
  {
    name: 'KubeVirt by its pod',
    line: '/usr/libexec/qemu-kvm | -name | guest=ns-1_a.b-c,debug-threads=on',
    inPod: true,
    is: { vmm: 'qemu', manager: 'kubevirt', name: 'ns-1_a.b-c', uuid: '', namespace: 'ns-1', vmi: 'a.b-c' },
  },
  {
    name: 'an underscore alone does not make it KubeVirt',
    line: '/usr/bin/qemu-system-x86_64 | -name | guest=web_1,debug-threads=on',
    is: { vmm: 'qemu', name: 'web_1', uuid: '' },
  },
  {
    name: 'a pod with a VM whose name KubeVirt could not have given',
    line: '/usr/bin/qemu-system-x86_64 | -name | guest=Web_1_x',
    inPod: true,
    is: { vmm: 'qemu', name: 'Web_1_x', uuid: '' },
  },
  {
    name: 'Multipass', // a bug report with its qemu command, Multipass 1.11 as a snap
    line: '/snap/multipass/8140/usr/bin/qemu-system-x86_64 | --enable-kvm | -cpu | host | -nic | tap,ifname=tap-1e376645a40,script=no,downscript=no,model=virtio-net-pci,mac=52:54:00:05:05:17 | -device | virtio-scsi-pci,id=scsi0 | -drive | file=/var/snap/multipass/common/data/multipassd/vault/instances/primary/ubuntu-22.04-server-cloudimg-amd64.img,if=none,format=qcow2,discard=unmap,id=hda | -smp | 1 | -qmp | stdio',
    is: { vmm: 'qemu', name: 'primary', uuid: '' },
  },
  {
    name: 'a name on the command line wins over the folder of a disk',
    line: 'qemu-system-x86_64 | -name | web | -drive | file=/var/snap/multipass/common/data/multipassd/vault/instances/primary/u.img',
    is: { vmm: 'qemu', name: 'web', uuid: '' },
  },
  {
    name: 'folders named instances are no names outside of Multipass', // OpenStack keeps disks in instances/UUID
    line: 'qemu-system-x86_64 | -drive | file=/var/lib/nova/instances/_base/disk',
    is: { vmm: 'qemu', name: '', uuid: '' },
  },
  {
    name: 'the Android emulator',
    line: '/opt/android-sdk/emulator/qemu/linux-x86_64/qemu-system-x86_64-headless | -netdelay | none | -netspeed | full | -avd | Pixel_4_API_30 | -no-window',
    comm: 'qemu-system-x86',
    is: { vmm: 'qemu', name: 'Pixel_4_API_30', uuid: '' },
  },
  {
    name: 'the Android emulator, short form',
    line: '/root/Android/Sdk/emulator/qemu/linux-x86_64/qemu-system-x86_64 | @Nexus_5X_API_29.v-2 | -no-audio',
    is: { vmm: 'qemu', name: 'Nexus_5X_API_29.v-2', uuid: '' },
  },
  {
    name: 'Cuttlefish',
    line: '/home/vsoc-01/bin/crosvm | --extended-status | run | --core-scheduling=false | --socket=/tmp/cf_avd_1000/cvd-1/internal/crosvm_control.sock | --no-smt',
    comm: 'crosvm',
    is: { vmm: 'crosvm', name: 'cvd-1', uuid: '' },
  },
  {
    name: 'Cuttlefish in its home folder',
    line: 'crosvm | run | --socket=/home/u/cuttlefish/instances/cvd-2/internal/crosvm_control.sock',
    is: { vmm: 'crosvm', name: 'cvd-2', uuid: '' },
  },
  {
    name: 'alioth', // google/alioth, alioth-cli
    line: '/root/.cargo/bin/alioth | -l | info | run | --kernel | vmlinuz | --num-cpu | 2',
    is: { vmm: 'alioth', name: '', uuid: '' },
  },
  { name: 'a part of alioth that runs no VM', line: 'alioth | vu | --socket | /tmp/s net', is: undefined },
  ...[
    ['cloud-hypervisor', '.cloud-hypervis', 'cloud-hypervisor | --api-socket | /run/vms/web.sock'],
    ['firecracker', '.firecracker-wr', 'firecracker | --id | web'],
    ['crosvm', '.crosvm-wrapped', 'crosvm | run | --name | web'],
    ['qemu', '.qemu-system-x8', 'qemu-system-x86_64 | -name | web'],
  ].flatMap(([vmm = '', comm = '', line = '']): Case[] => [
    {
      name: `${vmm}, wrapped by NixOS`,
      line: `/nix/store/0abc-x/bin/.${line.replace(' ', '-wrapped ')}`,
      comm,
      is: { vmm, name: 'web', uuid: '' },
    },
    {
      name: `${vmm}, wrapped, by its process`,
      line: line.replace(/^\S+/, 'other'),
      comm,
      is: { vmm, name: 'web', uuid: '' },
    },
  ]),
  {
    name: 'OpenStack', // canonical/hotsos tests, ps of a nova host
    line: '/usr/bin/qemu-system-x86_64 | -name | guest=instance-00000002,debug-threads=on | -S | -object | secret,id=masterKey0,format=raw,file=/var/lib/libvirt/qemu/domain-1-instance-00000002/master-key.aes | -machine | pc-i440fx-4.2,accel=kvm,usb=off,dump-guest-core=off | -uuid | 09461f0b-297b-4ef5-9053-dd369c86b96b | -smbios | type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=21.1.0,uuid=09461f0b-297b-4ef5-9053-dd369c86b96b,family=Virtual Machine',
    is: { vmm: 'qemu', manager: 'libvirt', name: 'instance-00000002', uuid: '09461f0b-297b-4ef5-9053-dd369c86b96b' },
  },
  {
    name: 'OpenStack of 2014: no key before the name', // a DevStack tutorial
    line: '/usr/bin/qemu-system-x86_64 | -S | -M | pc-1.0 | -no-kvm | -name | instance-00000001 | -uuid | fa1ddbab-417f-4890-abc1-4cdf2bbfa787',
    is: { vmm: 'qemu', name: 'instance-00000001', uuid: 'fa1ddbab-417f-4890-abc1-4cdf2bbfa787' },
  },
  {
    name: 'Proxmox', // bugzilla.kernel.org 205801, name as in `qm showcmd`; the uuid is only in -smbios
    line: '/usr/bin/kvm | -id | 302 | -name | web01,debug-threads=on | -no-shutdown | -chardev | socket,id=qmp,path=/var/run/qemu-server/302.qmp,server,nowait | -smbios | type=1,uuid=9b793bd8-30b0-400d-8196-6264858d3300 | -smp | 1,sockets=1,cores=4,maxcpus=4 | -machine | type=pc',
    comm: 'kvm',
    is: { vmm: 'qemu', manager: 'proxmox', name: 'web01', uuid: '9b793bd8-30b0-400d-8196-6264858d3300', vmId: '302' },
  },
  {
    name: 'Kata', // kata-containers/kata-containers#4118
    line: `/opt/kata/bin/qemu-system-x86_64 | -name | sandbox-${SANDBOX} | -uuid | fa535631-81c2-4962-a5ce-095aa5e5b7aa | -machine | q35,accel=kvm,kernel_irqchip=on,nvdimm=on | -qmp | unix:/run/vc/vm/${SANDBOX}/qmp.sock,server=on,wait=off`,
    is: {
      vmm: 'qemu',
      manager: 'kata',
      name: `sandbox-${SANDBOX}`,
      uuid: 'fa535631-81c2-4962-a5ce-095aa5e5b7aa',
      sandbox: SANDBOX,
    },
  },
  {
    name: 'Kata with a short id and its old QEMU', // kata-containers/runtime#2701
    line: '/usr/bin/qemu-vanilla-system-x86_64 | -name | sandbox-b1 | -uuid | 5208064f-95bb-4351-aba8-526fead35624 | -machine | pc,accel=kvm,kernel_irqchip | -qmp | unix:/run/vc/vm/b1/qmp.sock,server,nowait',
    is: {
      vmm: 'qemu',
      manager: 'kata',
      name: 'sandbox-b1',
      uuid: '5208064f-95bb-4351-aba8-526fead35624',
      sandbox: 'b1',
    },
  },
  {
    name: 'a VM of another program with the name sandbox-1',
    line: 'qemu-system-x86_64 | -name | guest=sandbox-1',
    is: { vmm: 'qemu', name: 'sandbox-1', uuid: '' },
  },
  {
    name: 'StratoVirt in Kuasar', // kuasar-io/kuasar docs
    line: `/usr/bin/stratovirt | -name | sandbox-${SANDBOX} | -device | vhost-vsock-pci,id=vsock-395568061`,
    is: { vmm: 'stratovirt', manager: 'kata', name: `sandbox-${SANDBOX}`, uuid: '', sandbox: SANDBOX },
  },
  {
    name: 'QEMU: two dashes, the name of the process, commas doubled',
    line: 'qemu-system-aarch64 | --name | a,,b,,,process=c,debug-threads=on | --uuid | 0E44BE5A-FF12-52FB-9413-07B52F3593C3',
    is: { vmm: 'qemu', name: 'a,b,', uuid: '0e44be5a-ff12-52fb-9413-07b52f3593c3' },
  },
  {
    name: 'QEMU: -name without a name', // a TDX how-to
    line: 'qemu-system-x86_64 | -accel | kvm | -name | debug-threads=on,process=vtpm-td | -uuid | not-a-uuid',
    comm: 'vtpm-td',
    is: { vmm: 'qemu', name: '', uuid: '' },
  },
  {
    name: 'QEMU: the last name counts',
    line: 'kvm | -name | a | -name | guest=b',
    is: { vmm: 'qemu', name: 'b', uuid: '' },
  },
  { name: 'QEMU: -name at the very end', line: 'kvm | -m | 1G | -name', is: { vmm: 'qemu', name: '', uuid: '' } },
  {
    name: 'QEMU: options inside the command line of its guest do not count',
    line: 'qemu-system-x86_64 | -append | -name guest=evil -uuid x | -name | good',
    is: { vmm: 'qemu', name: 'good', uuid: '' },
  },
  {
    name: 'another program name', // `exec -a`, as microvm.nix does
    line: 'microvm@web1 | -name | web1',
    comm: 'qemu-system-x86',
    is: { vmm: 'qemu', name: 'web1', uuid: '' },
  },
  {
    name: 'Firecracker in its jail', // firecracker docs/jailer.md
    line: '/firecracker | --id | 551e7604-e35c-42b3-b825-416853441234 | --start-time-us | 123 | --api-sock | /run/firecracker.socket',
    is: { vmm: 'firecracker', name: '551e7604-e35c-42b3-b825-416853441234', uuid: '' },
  },
  {
    name: 'Firecracker, --id=',
    line: '/usr/bin/firecracker-v1.7.0-x86_64 | --id=vm1',
    is: { vmm: 'firecracker', name: 'vm1', uuid: '' },
  },
  {
    name: 'Firecracker with the default id', // DEFAULT_INSTANCE_ID
    line: 'firecracker | --id | anonymous-instance | --api-sock | /tmp/fc-web.sock',
    is: { vmm: 'firecracker', name: 'fc-web', uuid: '' },
  },
  {
    name: 'Firecracker without a name',
    line: 'firecracker | --api-sock | /tmp/firecracker.socket',
    is: { vmm: 'firecracker', name: '', uuid: '' },
  },
  {
    name: 'cloud-hypervisor in Kata', // a Kata + cloud-hypervisor how-to; the shim's paths
    line: `/opt/kata/bin/cloud-hypervisor | --api-socket | /run/vc/vm/${SANDBOX}/clh-api.sock`,
    comm: 'cloud-hyperviso',
    is: { vmm: 'cloud-hypervisor', name: `sandbox-${SANDBOX}`, uuid: '', sandbox: SANDBOX },
  },
  {
    name: 'cloud-hypervisor by its socket',
    line: 'cloud-hypervisor | --api-socket | path=/tmp/microvm-web.sock | --platform | num_pci_segments=2,uuid=0e44be5a-ff12-52fb-9413-07b52f3593c3',
    is: { vmm: 'cloud-hypervisor', name: 'microvm-web', uuid: '0e44be5a-ff12-52fb-9413-07b52f3593c3' },
  },
  {
    name: 'cloud-hypervisor by the folder of its socket',
    line: 'cloud-hypervisor | --api-socket=/run/vms/web1/ch.sock',
    is: { vmm: 'cloud-hypervisor', name: 'web1', uuid: '' },
  },
  {
    name: 'cloud-hypervisor with a socket name that every VM may have',
    line: './cloud-hypervisor | --api-socket | /tmp/cloud-hypervisor.sock',
    is: { vmm: 'cloud-hypervisor', name: '', uuid: '' },
  },
  {
    name: 'cloud-hypervisor with a socket passed by libvirt',
    line: 'cloud-hypervisor | --api-socket | fd=5',
    is: { vmm: 'cloud-hypervisor', name: '', uuid: '' },
  },
  {
    name: 'crosvm', // crosvm on Android how-to
    line: '/apex/com.android.virt/bin/crosvm | run | --disable-sandbox | -s | /data/kvm/debian.sock | --mem | 4096',
    comm: 'crosvm',
    is: { vmm: 'crosvm', name: 'debian', uuid: '' },
  },
  {
    name: 'crosvm with a name',
    line: 'crosvm | --extended-status | run | --name | web | -s | x.sock',
    is: { vmm: 'crosvm', name: 'web', uuid: '' },
  },
  {
    name: 'kvmtool', // rkt's lkvm stage 1
    line: './stage1/rootfs/lkvm | run | --name | rkt-8d4ce168-6825-4fbb-b52b-738a3c891a9d | --cpu | 1',
    is: { vmm: 'kvmtool', name: 'rkt-8d4ce168-6825-4fbb-b52b-738a3c891a9d', uuid: '' },
  },
  { name: 'kvmtool without a name', line: 'lkvm | run | -k | bzImage', is: { vmm: 'kvmtool', name: '', uuid: '' } },
  // None of these is a VM.
  {
    name: "libvirt's question what QEMU can do",
    line: '/usr/bin/qemu-system-x86_64 | -S | -nodefaults | -machine | none,accel=kvm:tcg | -qmp | unix:/x',
    is: undefined,
  },
  { name: "QEMU's clean-up twin", line: 'qemu-system-s390x | -name | guest=a', comm: 'cleanup/1234', is: undefined },
  { name: "crosvm's device process", line: 'crosvm | run | -s | /a.sock', comm: 'pcivirtio-block', is: undefined },
  { name: 'crosvm stop', line: 'crosvm | stop | /a.sock', comm: 'crosvm', is: undefined },
  { name: 'lkvm list', line: 'lkvm | list', is: undefined },
  { name: 'jailer', line: 'jailer | --id | a | --exec-file | /usr/bin/firecracker', comm: 'jailer', is: undefined },
  {
    name: 'firecracker-containerd',
    line: '/usr/bin/firecracker-containerd | --config | x',
    comm: 'firecracker-con',
    is: undefined,
  },
  { name: 'sudo', line: 'sudo | qemu-system-x86_64 | -name | a', comm: 'sudo', is: undefined },
  { name: 'qemu-img', line: 'qemu-img | convert | -name | a', comm: 'qemu-img', is: undefined },
  { name: 'qemu-ga', line: '/usr/bin/qemu-ga', comm: 'qemu-ga', is: undefined },
  { name: 'user mode emulation', line: '/usr/bin/qemu-x86_64 | /bin/ls', comm: 'qemu-x86_64', is: undefined },
  { name: 'virtiofsd', line: '/usr/libexec/virtiofsd | --fd=3', comm: 'virtiofsd', is: undefined },
  { name: 'kvmd', line: '/usr/bin/kvmd | --run', comm: 'kvmd', is: undefined },
  { name: 'a shell', line: '/bin/bash', comm: 'bash', is: undefined },
  { name: 'a kernel thread or a zombie', line: '', comm: 'qemu-system-x86', is: undefined },
];

for (const { name, line, comm = '', inPod = false, is } of CASES) {
  test(`identifyVmm: ${name}`, () => assert.deepEqual(identifyVmm(line.split(' | '), comm, inPod), is));
}

test('identifyVmm takes no arguments at all for no VM', () => assert.equal(identifyVmm([], 'kvm'), undefined));

test('unknownVmm is named after the process', () => {
  assert.deepEqual(unknownVmm('uhyve'), { vmm: 'uhyve', name: '', uuid: '' });
  assert.deepEqual(unknownVmm(''), { vmm: 'unknown', name: '', uuid: '' });
});

test("unknownVmm knows Dragonball in Kata's shim", () => {
  const shim =
    '/opt/kata/runtime-rs/bin/containerd-shim-kata-v2 | -namespace | k8s.io | -id | abc1 | -publish-binary | x';
  assert.deepEqual(unknownVmm('containerd-shim', shim.split(' | ')), {
    vmm: 'dragonball',
    name: 'sandbox-abc1',
    uuid: '',
    sandbox: 'abc1',
  });
});
