/**
 * Identifies the VM that a process runs from its command line (PURE). Samples, arguments separated by blanks:
 *
 *   /usr/libexec/qemu-kvm -name guest=default_testvm,debug-threads=on … -uuid 0e44… -smbios …,manufacturer=KubeVirt
 *   /usr/bin/kvm -id 102 -name web01,debug-threads=on … -smbios type=1,uuid=4644…           (Proxmox)
 *   /opt/kata/bin/qemu-system-x86_64 -name sandbox-3908… -uuid fa53… … -qmp unix:/run/vc/vm/3908…/qmp.sock
 *   /firecracker --id myvm --api-sock /run/firecracker.socket
 *   cloud-hypervisor --api-socket /run/vc/vm/3908…/clh-api.sock
 *   lkvm run --name myvm …
 *   qemu-system-x86_64 --enable-kvm … -drive file=/…/multipassd/vault/instances/primary/ubuntu.img,…  (Multipass)
 *   …/emulator/qemu/linux-x86_64/qemu-system-x86_64-headless -avd Pixel_4_API_30 …              (Android emulator)
 *   crosvm run … --socket=/tmp/cf_avd_0/cvd-1/internal/crosvm_control.sock …                    (Cuttlefish)
 *
 * - QEMU: `-x` and `--x` are the same option, the last one wins, a comma inside a value is doubled, the first word of
 *   `-name` without a key is the guest's name (qemu-options.hx). StratoVirt takes QEMU's options.
 * - Firecracker (src/firecracker/src/main.rs): `--id`, by default `anonymous-instance`, which names nothing.
 * - cloud-hypervisor has no option for a name; people use its API socket as the handle.
 * - crosvm: `run --name`, else `--socket`. kvmtool: `run --name`. alioth's `run` and `boot` have none.
 * - NixOS wraps programs: the process of `cloud-hypervisor` is `.cloud-hypervisor-wrapped`.
 *
 * Not a VM: a QEMU with `-machine none` (libvirt asks what it can do), the clean-up twin of QEMU's async-teardown and
 * crosvm's device processes (both share the VMM's command line), `jailer`, wrappers such as `sudo qemu-kvm …`. Ignored:
 * names given by users of OpenStack (they are not on the command line), QEMU's configuration files.
 */

export interface VmmIdentity {
  /** `qemu`, `firecracker` …; the name of the process if no rule knows it. */
  readonly vmm: string;
  /** '' if the command line names none. */
  readonly name: string;
  /** '' if the command line has none. */
  readonly uuid: string;
  /** What started the VMM, and keeps its settings: `libvirt`, `proxmox`, `kubevirt`, `kata`. */
  readonly manager?: string;
  /** Number of the VM in Proxmox. */
  readonly vmId?: string;
  /** Namespace of the VirtualMachineInstance in KubeVirt. */
  readonly namespace?: string;
  /** Name of the VirtualMachineInstance in KubeVirt. */
  readonly vmi?: string;
  /** Id of the sandbox in Kata. */
  readonly sandbox?: string;
}

/** The facts of a command line that says nothing. */
export const NO_FACTS: Omit<Required<VmmIdentity>, 'vmm'> = {
  name: '',
  uuid: '',
  manager: '',
  vmId: '',
  namespace: '',
  vmi: '',
  sandbox: '',
};

type Identify = (args: readonly string[], inPod: boolean) => VmmIdentity | undefined;

const VMMS: readonly { program: RegExp; comm?: RegExp; identify: Identify }[] = [
  { program: /^(?:qemu(?:-[a-z]+)?-system-|qemu-kvm|kvm(?:-spice)?$)/, comm: /^(?!cleanup\/)/, identify: qemu },
  { program: /^stratovirt$/, identify: (args, inPod) => named('stratovirt', qemu(args, inPod)) },
  { program: /^firecracker(?:-v\d.*)?$/, identify: firecracker },
  { program: /^cloud-hypervis/, identify: cloudHypervisor },
  { program: /^crosvm$/, comm: /^(?:crosvm|$)/, identify: crosvm },
  { program: /^(?:lkvm|kvmtool)/, identify: kvmtool },
  { program: /^alioth$/, identify: alioth },
];

/**
 * Returns the VM of a process; undefined if the process is no VMM.
 * @param comm the name that `ps` shows; it counts if the command line has another program name (`exec -a`)
 * @param inPod true if the process is in the cgroup of a Kubernetes pod
 */
export function identifyVmm(args: readonly string[], comm: string, inPod = false): VmmIdentity | undefined {
  const first = args[0];
  if (first === undefined || first === '') return undefined;
  const program = unwrapped(baseName(first));
  const running = unwrapped(comm);
  for (const vmm of VMMS) {
    const fits = vmm.program.test(program) ? vmm.comm?.test(running) !== false : vmm.program.test(running);
    if (fits) return vmm.identify(args, inPod);
  }
  return undefined;
}

/** Returns the VM of a process that runs vCPUs although {@link identifyVmm} does not know it. */
export function unknownVmm(comm: string, args: readonly string[] = []): VmmIdentity {
  // The shim of Kata's Rust runtime is the VMM, Dragonball: `containerd-shim-kata-v2 -namespace k8s.io … -id 3908…`.
  const sandbox = /^containerd-shim-kata/.test(baseName(args[0] ?? '')) ? option(args, '-id') : '';
  if (sandbox !== '') return { vmm: 'dragonball', name: `sandbox-${sandbox}`, uuid: '', sandbox };
  return { vmm: comm === '' ? 'unknown' : comm, name: '', uuid: '' };
}

function qemu(args: readonly string[], inPod: boolean): VmmIdentity | undefined {
  if (/^(?:type=)?none(?:,|$)/.test(option(args, '-machine', '--machine', '-M', '--M'))) return undefined;
  const name =
    qemuOptions(option(args, '-name', '--name'), 'guest').get('guest') || androidName(args) || multipassName(args);
  const uuid = uuidOf(option(args, '-uuid', '--uuid')) || smbiosUuid(args);
  const vmId = option(args, '-id', '--id');
  return {
    vmm: 'qemu',
    name,
    uuid,
    ...libvirt(args),
    ...(vmId === '' ? {} : { vmId, manager: 'proxmox' }),
    ...kubevirt(args, name, inPod),
    ...kata(args, name),
  };
}

/** libvirt gives each QEMU a secret of this name (src/qemu/qemu_alias.c). */
function libvirt(args: readonly string[]): { manager?: string } {
  return args.some((arg) => /^(?:secret,|\{"qom-type":"secret",).*masterKey0/.test(arg)) ? { manager: 'libvirt' } : {};
}

/** The device of the Android emulator: `-avd NAME`, or `@NAME`. */
function androidName(args: readonly string[]): string {
  return option(args, '-avd') || (args.find((arg) => /^@[\w.-]+$/.test(arg)) ?? '').slice(1);
}

/** Multipass names its instances by folder only: `…/multipassd/vault/instances/NAME/ubuntu.img`. */
function multipassName(args: readonly string[]): string {
  for (const arg of args) {
    const name = /multipassd\/(?:qemu\/)?vault\/instances\/([^/,]+)\//.exec(arg)?.[1];
    if (name !== undefined) return name;
  }
  return '';
}

/**
 * KubeVirt names its domains `<namespace>_<vmi>`; names in Kubernetes have no `_`. Other VMs may have such a name too.
 */
function kubevirt(
  args: readonly string[],
  name: string,
  inPod: boolean,
): { manager?: string; namespace?: string; vmi?: string } {
  const match = /^([a-z0-9-]+)_([a-z0-9.-]+)$/.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return {};
  const evident = inPod || args.some((arg) => /\/var\/run\/kubevirt|(?:manufacturer|family)=KubeVirt/.test(arg));
  return evident ? { manager: 'kubevirt', namespace: match[1], vmi: match[2] } : {};
}

/**
 * Kata names its VMs `sandbox-<id>`, mostly with 64 hex digits; another id counts if the arguments hold a path of Kata.
 */
function kata(args: readonly string[], name: string): { manager?: string; sandbox?: string } {
  const sandbox = /^sandbox-(.+)$/.exec(name)?.[1];
  if (sandbox === undefined) return {};
  const evident = /^[0-9a-f]{64}$/.test(sandbox) || args.some((arg) => /\/run\/vc\/|kata/.test(arg));
  return evident ? { manager: 'kata', sandbox } : {};
}

function firecracker(args: readonly string[]): VmmIdentity {
  const id = option(args, '--id');
  const name = id === '' || id === 'anonymous-instance' ? nameOfSocket(option(args, '--api-sock')) : id;
  return { vmm: 'firecracker', name, uuid: '' };
}

function cloudHypervisor(args: readonly string[]): VmmIdentity {
  const socket = option(args, '--api-socket');
  const uuid = uuidOf(/(?:^|,)uuid=([^,]*)/.exec(option(args, '--platform'))?.[1] ?? '');
  const sandbox = /^(?:path=)?\/run\/(?:vc\/vm|kata)\/([^/,]+)\//.exec(socket)?.[1];
  if (sandbox !== undefined) return { vmm: 'cloud-hypervisor', name: `sandbox-${sandbox}`, uuid, sandbox };
  return { vmm: 'cloud-hypervisor', name: nameOfSocket(socket), uuid };
}

function crosvm(args: readonly string[]): VmmIdentity | undefined {
  if (!args.includes('run')) return undefined;
  return { vmm: 'crosvm', name: option(args, '--name') || nameOfSocket(option(args, '--socket', '-s')), uuid: '' };
}

function kvmtool(args: readonly string[]): VmmIdentity | undefined {
  if (args[1] !== 'run') return undefined;
  return { vmm: 'kvmtool', name: option(args, '--name', '-n'), uuid: '' };
}

function alioth(args: readonly string[]): VmmIdentity | undefined {
  return args.some((arg) => arg === 'run' || arg === 'boot') ? { vmm: 'alioth', name: '', uuid: '' } : undefined;
}

function named(vmm: string, identity: VmmIdentity | undefined): VmmIdentity | undefined {
  return identity === undefined ? undefined : { ...identity, vmm };
}

/** Value of the last of these options, written `-x value` or `-x=value`; '' if there is none. */
function option(args: readonly string[], ...names: readonly string[]): string {
  let value = '';
  for (const [index, arg] of args.entries()) {
    if (index === 0) continue;
    if (names.includes(arg)) value = args[index + 1] ?? value;
    else for (const name of names) if (arg.startsWith(`${name}=`)) value = arg.slice(name.length + 1);
  }
  return value;
}

/** Splits a value of QEMU: `a,key=b,,c` is `a` under the key `implied`, and `b,c` under `key`. */
function qemuOptions(text: string, implied: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const [index, part] of text.replaceAll(',,', '\0').split(',').entries()) {
    const word = part.replaceAll('\0', ',');
    const equals = word.indexOf('=');
    if (equals >= 0) options.set(word.slice(0, equals), word.slice(equals + 1));
    else if (index === 0 && word !== '') options.set(implied, word);
  }
  return options;
}

function smbiosUuid(args: readonly string[]): string {
  for (const arg of args) if (/^type=1,/.test(arg)) return uuidOf(qemuOptions(arg, '').get('uuid') ?? '');
  return '';
}

function uuidOf(text: string): string {
  return /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : '';
}

/** Returns `web1` for `/run/vms/web1.sock`, and for `/run/vms/web1/api.sock`, whose file name every VM may have. */
function nameOfSocket(option: string): string {
  const path = /^(?:path=)?([^,]*)/.exec(option)?.[1] ?? '';
  if (/^fd=/.test(path)) return '';
  const stem = (text: string): string => baseName(text).replace(/[.-]?(?:sock|socket)$/, '');
  const name = stem(path);
  if (!/^(?:|api|vmm|ch|clh|ch-api|clh-api|crosvm|crosvm_control|firecracker|cloud-hypervisor)$/.test(name))
    return name;
  const folders = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  // Cuttlefish: `…/cvd-1/internal/crosvm_control.sock`.
  const folder = baseName(folders.replace(/\/internal$/, ''));
  return /^(?:|\.|\.\.|tmp|run|var|shm|root|internal)$/.test(folder) ? '' : folder;
}

/** Returns `crosvm` for `.crosvm-wrapped`. The name of a process is cut after 15 characters: `.firecracker-wr`. */
function unwrapped(program: string): string {
  return program.startsWith('.')
    ? program.slice(1).replace(/-(?:w(?:r(?:a(?:p(?:p(?:e(?:d_*)?)?)?)?)?)?)?$/, '')
    : program;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
