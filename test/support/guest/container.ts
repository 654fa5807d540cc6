/**
 * Starts a program as a container engine would, with what util-linux has: own mount namespace, a root of its own that is read-only, uid 0 without any
 * capability, no way to get one, no HOME. Network and process ids are the host's (--network=host --pid=host).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where distroless has Node.js; the second is for the test only, and not there for the program to find. */
const PROGRAMS: Readonly<Record<string, () => string>> = {
  '/nodejs/bin/node': () => process.execPath,
  '/.test/setpriv': () => whereIs('setpriv'),
};

function withoutRights({ uid = 0 }: ContainerOptions): string[] {
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return [...user, '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ContainerOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** Instead of uid 0. */
  readonly uid?: number;
  /** Folders of the host to bind, read-write, at the same place. */
  readonly mounts?: readonly string[];
  /** Namespaces of its own besides that of mounts: `net`, `uts`, `ipc`, `cgroup`. */
  readonly namespaces?: readonly string[];
}

/** The base image: Node.js with its libraries. No shell, no other program. */
export function addRuntime(root: string, mounts: readonly string[] = []): void {
  for (const [path, program] of Object.entries(PROGRAMS)) addProgram(root, path, program());
  for (const folder of ['proc', 'dev', ...mounts]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'dev/null'), '');
}

/** Signals sent to the process are the program's: everything before it is replaced by it. */
export function startContainer(root: string, command: readonly string[], options: ContainerOptions): ChildProcess {
  const { mounts = [], namespaces = [] } = options;
  const binds = ['/dev/null', ...mounts].map((path) => `mount --bind '${path}' "$1${path}"`);
  const script = [
    'set -e',
    ...(namespaces.includes('net') ? ['ip link set lo up'] : []),
    'mount --bind "$1" "$1"',
    'mount -t proc proc "$1/proc"',
    ...binds,
    'mount -o remount,bind,ro "$1"',
    'root=$1; shift',
    'exec chroot "$root" /.test/setpriv "$@"',
  ].join('\n');
  const shell = [
    ...['--mount', ...namespaces.map((name) => `--${name}`), '--propagation', 'private'],
    ...['/bin/sh', '-c', script, 'sh', root, ...withoutRights(options), ...command],
  ];
  return spawn(whereIs('unshare'), shell, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH, ...options.environment } });
}

/** `docker exec`: another program in the same place, with the same rights. */
export function runInContainer(
  child: ChildProcess,
  command: readonly string[],
  options: ContainerOptions,
): { status: number | null; output: string } {
  const place = [`--target=${child.pid}`, '--mount', '--root', '--wd=/', '/.test/setpriv', ...withoutRights(options)];
  const { status, stdout, stderr } = spawnSync(whereIs('nsenter'), [...place, ...command], {
    encoding: 'utf8',
    env: { PATH, ...options.environment },
  });
  return { status, output: stdout + stderr };
}

/** A program of this machine, with the libraries it needs. */
export function addProgram(root: string, path: string, program: string): void {
  for (const library of librariesOf(program)) copy(realpathSync(library), join(root, library));
  copy(realpathSync(program), join(root, path));
}

function copy(from: string, to: string): void {
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** Of the dynamic linker's answer, what is a file. */
function librariesOf(program: string): string[] {
  const answer = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...answer.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

export function whereIs(program: string): string {
  return execFileSync('/bin/sh', ['-c', `command -v ${program}`], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? PATH },
  }).trim();
}
