/**
 * `kvm`: exits from guest mode to KVM. `qemu`: returns of KVM_RUN to userspace. An exit that reaches userspace counts
 * in both layers, so their counts must not be added up.
 */
export type Layer = 'kvm' | 'qemu';
