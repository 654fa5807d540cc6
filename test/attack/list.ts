import type { Attack } from './attack.js';
import { NETWORK } from './network.js';

/** Every attack. A new class is a file with a list of its attacks. */
export const ATTACKS: readonly Attack[] = [...NETWORK];
