import type { VmInfo } from '../../../src/snapshot/tables/vms.js';

/** A VM of which only the given columns are known. */
export function vmInfo(known: Partial<VmInfo> & Pick<VmInfo, 'vm'>): VmInfo {
  return {
    uuid: '',
    pid: '',
    vmm: 'qemu',
    manager: '',
    namespace: '',
    pod: '',
    podUid: '',
    vmi: '',
    containerId: '',
    demo: 'false',
    vcpus: 0,
    startSeconds: Number.NaN,
    series: 1,
    ...known,
  };
}
