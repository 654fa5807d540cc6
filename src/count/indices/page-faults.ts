/** Why a page fault left the guest. `protected`: KVM has mapped the page, but not with that right. */
export type PageFaultKind =
  | 'read'
  | 'write'
  | 'exec'
  | 'protected_read'
  | 'protected_write'
  | 'protected_exec'
  | 'mmio'
  | 'unknown';

/** Bits of the exit qualification of an EPT violation (SDM vol. 3, table 28-7). */
const EPT_WRITE = 1 << 1;
const EPT_FETCH = 1 << 2;
const EPT_ALLOWED = 0b111 << 3;
/** Bits of the hardware's page fault error code, which SVM reports too (APM vol. 2, 8.4.2 and 15.25.6). */
const PRESENT = 1 << 0;
const WRITE = 1 << 1;
const RESERVED = 1 << 3;
const FETCH = 1 << 4;

/**
 * @param errorCode low bits of kvm_page_fault's error_code
 * @param isEpt true if the VM's page faults are EPT violations; undefined if the trace does not show it
 */
export function pageFaultKind(errorCode: number, isEpt: boolean | undefined): PageFaultKind {
  if (isEpt === undefined) return 'unknown';
  const [write, fetch] = isEpt ? [EPT_WRITE, EPT_FETCH] : [WRITE, FETCH];
  // KVM marks the pages of devices with a reserved bit, so that it knows them at the second access.
  if (!isEpt && errorCode & RESERVED) return 'mmio';
  const right = errorCode & fetch ? 'exec' : errorCode & write ? 'write' : 'read';
  return errorCode & (isEpt ? EPT_ALLOWED : PRESENT) ? `protected_${right}` : right;
}
