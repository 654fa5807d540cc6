/** Disks and network cards. */
import type { Rule } from './rule.js';

export const DEVICE_RULES: readonly Rule[] = [
  {
    id: 'emulated-disk',
    title: 'The guest drives an emulated disk controller',
    severity: 'warning',
    confidence: 'high',
    matches: [
      {
        io: 'pio',
        addresses: [
          [0x1f0, 0x1f7],
          [0x3f6, 0x3f6],
          [0x170, 0x177],
          [0x376, 0x376],
        ],
        devices: /^(?:ide|piix-bmdma|bmdma|ahci|lsi|megasas|mptsas|pvscsi|am53c974|esp)/,
      },
      { io: 'mmio', devices: /^(?:ide|ahci|lsi|megasas|mptsas|pvscsi|am53c974|esp|nvme)/ },
    ],
    perVcpuSecond: 500,
    cause: 'The disk is attached to IDE, SATA or another controller that QEMU emulates register by register.',
    why: 'A request to an IDE disk takes about a dozen exits to QEMU, to AHCI some four, to virtio-blk or virtio-scsi one kick that KVM passes on without leaving to QEMU.',
    changes: {
      guest:
        'Install the virtio drivers first (virtio-win for Windows); refer to file systems by UUID, as disk names change.',
      qemu: '-drive file=DISK,format=qcow2,if=none,id=disk0 -device virtio-blk-pci,drive=disk0',
      libvirt:
        "<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/DISK'/><target dev='vda' bus='virtio'/></disk></devices>",
      kubevirt: 'domain.devices.disks[].disk.bus: virtio',
      proxmox: 'qm set VMID --scsihw virtio-scsi-single --scsi0 STORAGE:DISK,iothread=1',
    },
    sources: [
      'https://www.qemu.org/docs/master/system/devices/virtio-blk.html',
      'https://pve.proxmox.com/wiki/Qemu/KVM_Virtual_Machines',
    ],
  },
  {
    id: 'emulated-network-card',
    title: 'The guest drives an emulated network card',
    severity: 'warning',
    confidence: 'high',
    matches: [
      { io: 'pio', devices: /^(?:e1000|rtl8139|ne2000|pcnet|eepro100|i8255|tulip)/ },
      { io: 'mmio', devices: /^(?:e1000|rtl8139|pcnet|eepro100|i8255|tulip|igb|vmxnet3|b1-reg|b0-reg)/ },
    ],
    perVcpuSecond: 500,
    cause: 'The VM has an e1000, rtl8139 or another card that QEMU emulates register by register.',
    why: 'Interrupt causes and tail registers are read and written for each packet or burst, each an exit to QEMU. Virtio-net with vhost needs a kick that KVM passes on, and interrupts that no QEMU thread has to inject.',
    changes: {
      guest:
        'Install the virtio drivers first (virtio-win for Windows); the name and MAC address of the interface can change.',
      qemu: '-netdev user,id=net0 -device virtio-net-pci,netdev=net0',
      libvirt:
        "<devices><interface type='network'><source network='default'/><model type='virtio'/></interface></devices>",
      kubevirt: 'domain.devices.interfaces[].model: virtio',
      proxmox: 'qm set VMID --net0 virtio,bridge=vmbr0',
    },
    sources: [
      'https://www.qemu.org/docs/master/system/devices/net.html',
      'https://pve.proxmox.com/wiki/Qemu/KVM_Virtual_Machines',
    ],
  },
  {
    id: 'virtio-kick-to-qemu',
    title: 'Kicks of a virtio device reach QEMU',
    severity: 'warning',
    confidence: 'high',
    matches: [
      { io: 'mmio', direction: 'out', devices: /^virtio-(?:pci-notify|mmio)/ },
      { io: 'pio', direction: 'out', devices: /^virtio-pci/ },
    ],
    perVcpuSecond: 1000,
    cause: 'ioeventfd is off for the device, or a network card has no vhost.',
    why: 'With ioeventfd KVM hands a kick to another thread and the guest goes on at once. Without it the vCPU waits until QEMU has looked at the queue.',
    changes: {
      host: 'Load the modules: modprobe vhost_net vhost_scsi.',
      qemu: '-netdev tap,id=net0,vhost=on -device virtio-net-pci,netdev=net0,ioeventfd=on',
      libvirt:
        "<devices><interface type='network'><source network='default'/><model type='virtio'/><driver name='vhost' ioeventfd='on'/></interface></devices>",
    },
    sources: [
      'https://github.com/google/alioth/issues/26',
      'https://github.com/lf-edge/eve/issues/4438',
      'https://libvirt.org/formatdomain.html',
    ],
  },
  {
    id: 'kick-per-packet',
    title: 'The guest kicks a device for nearly every request',
    severity: 'info',
    confidence: 'medium',
    matches: [{ signals: 'ioeventfd' }],
    perVcpuSecond: 50_000,
    when: { hasNoCost: true },
    cause: 'The driver does not know when the device still works, or sends many small packets.',
    why: 'Each kick is an exit to KVM and wakes another thread. With event_idx the guest kicks only a device that has gone to sleep; mergeable buffers, segmentation offload and several queues make fewer and larger requests.',
    changes: {
      guest: 'Larger writes; leave TSO and GSO on (`ethtool -k`).',
      qemu: '-netdev tap,id=net0,vhost=on,queues=2 -device virtio-net-pci,netdev=net0,mq=on,event_idx=on,mrg_rxbuf=on',
      libvirt:
        "<devices><interface type='network'><source network='default'/><model type='virtio'/><driver name='vhost' queues='2' event_idx='on'/></interface></devices>",
      kubevirt: 'domain.devices.networkInterfaceMultiqueue: true',
      proxmox: 'qm set VMID --net0 virtio,bridge=vmbr0,queues=2',
    },
    sources: ['https://github.com/firecracker-microvm/firecracker/issues/2478'],
  },
  {
    id: 'slow-device-model',
    title: 'QEMU is slow to answer',
    severity: 'warning',
    confidence: 'medium',
    matches: [{ exits: 'qemu', reasons: ['KVM_EXIT_IO', 'KVM_EXIT_MMIO'] }],
    perVcpuSecond: 10,
    when: { minP99Seconds: 0.001 },
    isVague: true,
    cause:
      'The device runs in the main loop of QEMU, waits for its lock or for a disk, or the thread waits for a host CPU.',
    why: 'There are few exits, but one in a hundred takes more than a millisecond, in which the vCPU stands still. A disk of its own thread (iothread) and native asynchronous I/O keep the vCPU out of it.',
    changes: {
      host: 'Look at the load of the host first: a CPU quota or too many vCPUs look the same.',
      qemu: '-object iothread,id=iothread0 -drive file=DISK,format=qcow2,if=none,id=disk0,aio=io_uring -device virtio-blk-pci,drive=disk0,iothread=iothread0',
      libvirt: "<iothreads>1</iothreads><cputune><emulatorpin cpuset='0'/></cputune>",
      kubevirt: 'domain.ioThreadsPolicy: auto; domain.cpu: {dedicatedCpuPlacement: true, isolateEmulatorThread: true}',
      proxmox: 'qm set VMID --scsihw virtio-scsi-single --scsi0 STORAGE:DISK,iothread=1,aio=io_uring',
    },
    sources: ['https://www.qemu.org/docs/master/devel/multiple-iothreads.html'],
  },
  {
    id: 'arm64-emulated-device',
    title: 'The guest drives an emulated device',
    severity: 'warning',
    confidence: 'medium',
    matches: [{ exits: 'qemu', reasons: ['KVM_EXIT_MMIO'] }],
    perVcpuSecond: 1000,
    when: { besides: 'DABT_LOW' },
    cause:
      'A device without a virtio interface, or virtio without ioeventfd or vhost: each access is a data abort that KVM passes to the VMM.',
    why: 'On arm64 every access to a device is an abort of the lower exception level (DABT_LOW). Virtio with vhost needs one for each kick, which KVM answers itself.',
    changes: {
      qemu: '-netdev tap,id=net0,vhost=on -device virtio-net-pci,netdev=net0',
      libvirt:
        "<devices><interface type='network'><source network='default'/><model type='virtio'/><driver name='vhost'/></interface></devices>",
    },
    sources: ['https://www.kernel.org/doc/html/latest/virt/kvm/api.html'],
  },
];
