import type { Changes } from './rules/rule.js';

/** Who can change something, as people call them. */
const NAMES: Readonly<Record<keyof Changes, string>> = {
  guest: 'guest',
  host: 'host',
  qemu: 'QEMU',
  libvirt: 'libvirt',
  kubevirt: 'KubeVirt',
  proxmox: 'Proxmox',
};

// Object.keys() does not know that NAMES has no further keys.
export const CHANGERS = Object.keys(NAMES) as readonly (keyof Changes)[];

/** The changes, each with who makes it. */
export function whoChanges(changes: Changes): (readonly [who: string, what: string])[] {
  return CHANGERS.flatMap((key) => {
    const what = changes[key];
    return what === undefined ? [] : [[NAMES[key], what] as const];
  });
}
