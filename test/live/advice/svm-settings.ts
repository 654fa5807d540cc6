/** The arguments of every rule, on an emulated host with AMD SVM, whose KVM has what Hyper-V offers to Windows. */
import { spawnSync } from 'node:child_process';

// Nothing else makes /dev/net/tun in the emulated host.
spawnSync('modprobe', ['tun']);
await import('../../advice/settings.test.js');
