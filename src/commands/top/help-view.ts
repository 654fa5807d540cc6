export const HELP: readonly string[] = [
  'Up Down PgUp PgDn Home End  move; also k j g G and Space',
  'Enter        open the VM: findings, reasons, vCPUs, causes, devices',
  'Esc          go back; show all VMs again',
  's S          next or previous order: exits to QEMU, time in KVM and QEMU,',
  '             share, exits to KVM, waiting for a CPU, finding, name',
  'r            reverse the order',
  '/            show only VMs with a text in their names',
  'p            pause, and go on',
  '+ -          longer or shorter interval',
  'h ? q        this help; end',
  '',
  'KVM/s QEMU/s exits per second to KVM, and of those on to QEMU',
  'toQEMU       share of the exits that reach QEMU',
  'gst kvm qemu rdy idle  where the time of its vCPUs went: in the guest, in KVM,',
  '             in QEMU, waiting for a host CPU, nothing to do',
  'top reason   what takes most time, or happens most often where that is unknown',
  'top device   what is accessed most, in QEMU if anything is',
  'finding      what to change first, and what it costs: 100% is a whole vCPU',
  '?            this host does not show it',
];

export const FOOTER = 'q end  Enter open  s order  / filter  p pause  + - interval  h help';
