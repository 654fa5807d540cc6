import type { LedgerOptions } from '../count/ledger.js';
import { EVENT_FORMS } from '../decode/kvm/events.js';
import { KNOWN_EVENTS } from '../decode/qemu/event-details.js';
import { HARDWARE_REASONS } from '../decode/reasons/hardware.js';
import { USERSPACE_REASONS } from '../decode/reasons/userspace.js';

/**
 * The names that always have room in the ledger's tables, so that nothing that input makes up can turn another VM's
 * KVM_EXIT_INTERNAL_ERROR into `other`.
 */
export const KNOWN_NAMES: NonNullable<LedgerOptions['knownNames']> = {
  reasons: new Set(['none', 'restart', 'error', ...USERSPACE_REASONS, ...HARDWARE_REASONS]),
  tracepoints: new Set(['tracing_mark_write', ...EVENT_FORMS.keys()]),
  qemuEvents: new Set(KNOWN_EVENTS),
};
