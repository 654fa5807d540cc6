import { CLOCK_RULES } from './rules/clocks.js';
import { CONSOLE_RULES } from './rules/consoles.js';
import { DEVICE_RULES } from './rules/devices.js';
import { FIRMWARE_RULES } from './rules/firmware.js';
import { GUEST_CODE_RULES } from './rules/guest-code.js';
import { INPUT_RULES } from './rules/input.js';
import { INTERRUPT_RULES } from './rules/interrupts.js';
import { MEMORY_RULES } from './rules/memory.js';
import type { Rule } from './rules/rule.js';
import { VCPU_TIME_RULES } from './rules/vcpu-times.js';

/** All rules. Ids are unique. */
export const RULES: readonly Rule[] = [
  ...CLOCK_RULES,
  ...CONSOLE_RULES,
  ...DEVICE_RULES,
  ...FIRMWARE_RULES,
  ...GUEST_CODE_RULES,
  ...INPUT_RULES,
  ...INTERRUPT_RULES,
  ...MEMORY_RULES,
  ...VCPU_TIME_RULES,
];
