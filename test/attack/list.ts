import type { Attack } from './attack.js';
import { CLIENTS } from './network/clients.js';
import { TENANT_FILES } from './tenant/files.js';
import { IMPOSTORS } from './tenant/impostors.js';
import { TENANT_SOCKETS } from './tenant/sockets.js';

/** Every attack. A new class is a file with a list of its attacks. */
export const ATTACKS: readonly Attack[] = [...CLIENTS, ...TENANT_FILES, ...TENANT_SOCKETS, ...IMPOSTORS];
