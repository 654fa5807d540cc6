import type { Attack } from './attack.js';
import { ACCESS } from './network/access.js';
import { CLIENTS } from './network/clients.js';
import { PEERS } from './network/peers.js';
import { REQUESTS } from './network/requests.js';
import { TLS } from './network/tls.js';
import { TENANT_FILES } from './tenant/files.js';
import { IMPOSTORS } from './tenant/impostors.js';
import { TENANT_SOCKETS } from './tenant/sockets.js';
import { TENANT_STATISTICS } from './tenant/statistics.js';

/** Every attack. A new class is a file with a list of its attacks. */
export const ATTACKS: readonly Attack[] = [
  ...CLIENTS,
  ...REQUESTS,
  ...TLS,
  ...ACCESS,
  ...PEERS,
  ...TENANT_FILES,
  ...TENANT_SOCKETS,
  ...TENANT_STATISTICS,
  ...IMPOSTORS,
];
