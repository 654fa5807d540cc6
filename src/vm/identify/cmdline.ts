/**
 * Which VM a process runs, from its command line (PURE). Samples, one argument per blank:
 *
 *   /usr/libexec/qemu-kvm -name guest=default_testvm,debug-threads=on … -uuid 0e44… -smbios type=1,manufacturer=KubeVirt,…
 *   /usr/bin/kvm -id 102 -name web01,debug-threads=on … -smbios type=1,uuid=4644…           (Proxmox)
 *   /opt/kata/bin/qemu-system-x86_64 -name sandbox-3908… -uuid fa53… … -qmp unix:/run/vc/vm/3908…/qmp.sock
 *   /firecracker --id myvm --api-sock /run/firecracker.socket
 *   cloud-hypervisor --api-socket /run/vc/vm/3908…/clh-api.sock
 *   lkvm run --name myvm …
 *
 * QEMU's options: `-x` and `--x` are the same, the last one wins, a comma inside a value is doubled, the first word of
 * `-name` without a key is the guest's name (qemu-options.hx). Firecracker (src/firecracker/src/main.rs): `--id`, by
 * default `anonymous-instance`, which names nothing. cloud-hypervisor has no name option: its API socket is the handle
 * that people use. crosvm: `run --name`, else `--socket`. kvmtool: `run --name`. StratoVirt takes QEMU's options.
 *
 * Not a VM: a QEMU with `-machine none` (libvirt asking what it can do), the clean-up twin of QEMU's async-teardown and
 * crosvm's device processes (both share the VMM's command line), `jailer`, wrappers such as `sudo qemu-kvm …`. Ignored:
 * the name that OpenStack's users gave (not on the command line), QEMU configuration files.
 */

export interface VmmIdentity {
  /** `qemu`, `firecracker` …; the process's own name where it is none we know. */
  readonly vmm: string;
  /** '' where the command line names none. */
  readonly name: string;
  /** '' where the command line has none. */
  readonly uuid: string;
  /** Proxmox' number of the VM. */
  readonly vmId?: string;
  /** KubeVirt. */
  readonly namespace?: string;
  readonly vmi?: string;
  /** Kata: the sandbox' id. */
  readonly sandbox?: string;
}

type Identify = (args: readonly string[], inPod: boolean) => VmmIdentity | undefined;

const VMMS: readonly { program: RegExp; comm?: RegExp; identify: Identify }[] = [
  { program: /^\.?(?:qemu(?:-[a-z]+)?-system-|qemu-kvm|kvm(?:-spice)?$)/, comm: /^(?!cleanup\/)/, identify: qemu },
  { program: /^stratovirt$/, identify: (args, inPod) => named('stratovirt', qemu(args, inPod)) },
  { program: /^firecracker(?:-v\d.*)?$/, identify: firecracker },
  { program: /^cloud-hyperviso/, identify: cloudHypervisor },
  { program: /^crosvm$/, comm: /^(?:crosvm|$)/, identify: crosvm },
  { program: /^(?:lkvm|kvmtool)/, identify: kvmtool },
];

/**
 * The VM of a process, undefined where it is no VMM. `inPod`: its cgroup is that of a Kubernetes pod.
 * `comm` (what `ps` calls it) counts where the command line was given another program name (`exec -a`).
 */
export function identifyVmm(args: readonly string[], comm: string, inPod = false): VmmIdentity | undefined {
  const first = args[0];
  if (first === undefined || first === '') return undefined;
  const program = baseName(first);
  for (const vmm of VMMS) {
    const fits = vmm.program.test(program) ? vmm.comm?.test(comm) !== false : vmm.program.test(comm);
    if (fits) return vmm.identify(args, inPod);
  }
  return undefined;
}

/** For a process that runs vCPUs although {@link identifyVmm} does not know it. */
export function unknownVmm(comm: string, args: readonly string[] = []): VmmIdentity {
  // Kata's Rust runtime has its VMM, Dragonball, inside the shim: `containerd-shim-kata-v2 -namespace k8s.io … -id
  // 3908…`.
  const sandbox = /^containerd-shim-kata/.test(baseName(args[0] ?? '')) ? option(args, '-id') : '';
  if (sandbox !== '') return { vmm: 'dragonball', name: `sandbox-${sandbox}`, uuid: '', sandbox };
  return { vmm: comm === '' ? 'unknown' : comm, name: '', uuid: '' };
}

function qemu(args: readonly string[], inPod: boolean): VmmIdentity | undefined {
  if (/^(?:type=)?none(?:,|$)/.test(option(args, '-machine', '--machine', '-M', '--M'))) return undefined;
  const name = qemuOptions(option(args, '-name', '--name'), 'guest').get('guest') ?? '';
  const uuid = uuidOf(option(args, '-uuid', '--uuid')) || smbiosUuid(args);
  const vmId = option(args, '-id', '--id');
  return {
    vmm: 'qemu',
    name,
    uuid,
    ...(vmId === '' ? {} : { vmId }),
    ...kubevirt(args, name, inPod),
    ...kata(args, name),
  };
}

/**
 * KubeVirt calls its domains `<namespace>_<vmi>`; Kubernetes' own names can't hold `_`. Others may call a VM so too.
 */
function kubevirt(args: readonly string[], name: string, inPod: boolean): { namespace?: string; vmi?: string } {
  const match = /^([a-z0-9-]+)_([a-z0-9.-]+)$/.exec(name);
  if (match?.[1] === undefined || match[2] === undefined) return {};
  const evident = inPod || args.some((arg) => /\/var\/run\/kubevirt|(?:manufacturer|family)=KubeVirt/.test(arg));
  return evident ? { namespace: match[1], vmi: match[2] } : {};
}

/** Kata calls its VMs `sandbox-<id>`, mostly with 64 hex digits; other ids count where Kata's paths are there too. */
function kata(args: readonly string[], name: string): { sandbox?: string } {
  const sandbox = /^sandbox-(.+)$/.exec(name)?.[1];
  if (sandbox === undefined) return {};
  const evident = /^[0-9a-f]{64}$/.test(sandbox) || args.some((arg) => /\/run\/vc\/|kata/.test(arg));
  return evident ? { sandbox } : {};
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

function named(vmm: string, identity: VmmIdentity | undefined): VmmIdentity | undefined {
  return identity === undefined ? undefined : { ...identity, vmm };
}

/** Value of the last of these options, written `-x value` or `-x=value`; '' where there is none. */
function option(args: readonly string[], ...names: readonly string[]): string {
  let value = '';
  for (const [index, arg] of args.entries()) {
    if (index === 0) continue;
    if (names.includes(arg)) value = args[index + 1] ?? value;
    else for (const name of names) if (arg.startsWith(`${name}=`)) value = arg.slice(name.length + 1);
  }
  return value;
}

/** `a,key=b,,c` -> implied: `a`, key: `b,c`. */
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

/** `/run/vms/web1.sock` -> `web1`; a name that every VM may have gives its folder's: `/run/vms/web1/api.sock`. */
function nameOfSocket(option: string): string {
  const path = /^(?:path=)?([^,]*)/.exec(option)?.[1] ?? '';
  if (/^fd=/.test(path)) return '';
  const stem = (text: string): string => baseName(text).replace(/[.-]?(?:sock|socket)$/, '');
  const name = stem(path);
  if (!/^(?:|api|vmm|ch|clh|ch-api|clh-api|crosvm|firecracker|cloud-hypervisor)$/.test(name)) return name;
  const folder = baseName(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  return /^(?:|\.|\.\.|tmp|run|var|shm|root)$/.test(folder) ? '' : folder;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
