/**
 * Starts a program as a container engine would, with the tools of util-linux: in a mount namespace and a read-only root
 * file system of its own, as uid 0 without capabilities and without a way to gain any, and without HOME. The network
 * and the process ids are those of the host (--network=host --pid=host).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Programs to install, by their path in the container. Node.js is where the distroless image has it; setpriv is for the
 * tests alone.
 */
const PROGRAMS: Readonly<Record<string, () => string>> = {
  '/nodejs/bin/node': () => process.execPath,
  '/.test/setpriv': () => pathOf('setpriv'),
};

function setprivArgs({ uid = 0 }: ContainerOptions): string[] {
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return [...user, '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ContainerOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** User and group id; default: 0. */
  readonly uid?: number;
  /** Folders of the host that appear in the container at the same path, writable. */
  readonly mounts?: readonly string[];
  /** Further namespaces that the container does not share with the host: `net`, `uts`, `ipc`, `cgroup`. */
  readonly namespaces?: readonly string[];
}

/** Installs Node.js and its libraries in `root`, as the base image does: no shell and no further programs. */
export function addRuntime(root: string, mounts: readonly string[] = []): void {
  for (const [path, program] of Object.entries(PROGRAMS)) addProgram(root, path, program());
  for (const folder of ['proc', 'dev', ...mounts]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'dev/null'), '');
}

/**
 * Starts `command`. The returned process is the program itself, because every helper before it calls exec; so it gets
 * the signals.
 */
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
    ...['/bin/sh', '-c', script, 'sh', root, ...setprivArgs(options), ...command],
  ];
  return spawn(pathOf('unshare'), shell, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH, ...options.environment } });
}

/** Runs another program in the container, with the same rights, like `docker exec`. */
export function runInContainer(
  child: ChildProcess,
  command: readonly string[],
  options: ContainerOptions,
): { status: number | null; output: string } {
  const context = [`--target=${child.pid}`, '--mount', '--root', '--wd=/', '/.test/setpriv', ...setprivArgs(options)];
  const { status, stdout, stderr } = spawnSync(pathOf('nsenter'), [...context, ...command], {
    encoding: 'utf8',
    env: { PATH, ...options.environment },
  });
  return { status, output: stdout + stderr };
}

/** Copies a program of this machine into `root`, with the libraries that it needs. */
export function addProgram(root: string, path: string, program: string): void {
  for (const library of librariesOf(program)) copy(realpathSync(library), join(root, library));
  copy(realpathSync(program), join(root, path));
}

function copy(from: string, to: string): void {
  if (existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** Paths of the libraries that `ldd` lists; libraries without a file (the vDSO) are left out. */
function librariesOf(program: string): string[] {
  const answer = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...answer.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

/** Path of a program, searched as the shell does. */
export function pathOf(program: string): string {
  return execFileSync('/bin/sh', ['-c', `command -v ${program}`], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? PATH },
  }).trim();
}
