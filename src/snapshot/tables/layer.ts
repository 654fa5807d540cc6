/**
 * `kvm`: exits from guest mode to KVM. `qemu`: returns of KVM_RUN to userspace. An exit that reaches userspace counts
 * in both layers, so their counts must not be added up.
 */
export type Layer = 'kvm' | 'qemu';

/** Stands for the layer in a report if a recording does not show where an exit was handled. */
export const LAYER_NOT_KNOWN = 'unknown';

/**
 * True for the reasons of calls of KVM_RUN that failed: interrupted by a signal, or refused. They are returns to
 * userspace, and no exit of the guest reached QEMU by them.
 */
export function isFailedCall(reason: string): boolean {
  return reason === 'restart' || reason === 'error';
}
