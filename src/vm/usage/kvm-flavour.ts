import { tryListFolder } from '../../system/files.js';

const MODULES = '/sys/module';
/** Flavours of KVM that tell the kernel when they enter a guest: x86 and POWER. Elsewhere KVM has no such module. */
const TELL_GUEST = ['kvm_intel', 'kvm_amd', 'kvm_hv', 'kvm_pr'];

/**
 * False if the kernel counts time in guests as time in the kernel (HOST). So it is with kvm_pvm, which runs guests
 * without hardware virtualization: guest_time of a guest that never leaves its loop stays below 1 % (Linux 6.18).
 */
export function tellsGuestTime(modules = MODULES): boolean {
  return tryListFolder(modules).every((name) => !name.startsWith('kvm_') || TELL_GUEST.includes(name));
}
