import { existsSync } from 'node:fs';

/** False on KVM without hardware virtualization (pvm): it raises no kvm_exit and no kvm_entry. */
export const TELLS_KVM = !existsSync('/sys/module/kvm_pvm');
