/** Finds where tracefs is mounted, and mounts it if it is not. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { AgentError, isGone } from '../../system/errors.js';
import { tryListFolder, tryReadText } from '../../system/files.js';

/** Mount points that distributions and the kernel use, in order of preference. */
const MOUNT_POINTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

export interface Tracefs {
  readonly path: string;
  /** False once it has been unmounted. */
  isMounted(): boolean;
  /** Unmounts tracefs if {@link findTracefs} mounted it. */
  release(): void;
}

/** @throws AgentError that says what is missing and which command provides it */
export function findTracefs(path: string | undefined): Tracefs {
  const found = (at: string): Tracefs => ({ path: at, isMounted: () => isTracefs(at), release: () => {} });
  if (path !== undefined) {
    if (!isTracefs(path))
      throw new AgentError(`--path.tracefs=${path}: no tracefs there (no events/ in it)${whyUnreadable(path)}`);
    return found(path);
  }
  const mounted = MOUNT_POINTS.find(isTracefs);
  if (mounted !== undefined) return found(mounted);
  return mountTracefs();
}

function mountTracefs(): Tracefs {
  const [path = ''] = MOUNT_POINTS;
  const command = `mount -t tracefs nodev ${path}`;
  if (process.getuid?.() !== 0) {
    const mounted = mountPointOf(tryReadText('/proc/self/mounts') ?? '');
    throw new AgentError(
      mounted === undefined
        ? `tracefs is not mounted, and only root can mount it; run it as root, or mount tracefs: ${command}`
        : `${mounted}: only root can read the kernel's tracing; run it as root`,
    );
  }
  try {
    execFileSync('mount', ['-t', 'tracefs', 'nodev', path], { stdio: 'pipe' });
  } catch (error) {
    throw new AgentError(
      `tracefs is not mounted and cannot be: ${command} failed; in a container, mount the host's tracefs there; the kernel needs CONFIG_TRACING, and lockdown refuses tracefs`,
      { cause: error },
    );
  }
  if (!isTracefs(path))
    throw new AgentError(`${path}: mounted, but not readable; kernel lockdown (confidentiality) refuses tracefs`);
  return {
    path,
    isMounted: () => isTracefs(path),
    release: () => {
      try {
        execFileSync('umount', [path], { stdio: 'pipe' });
      } catch {
        // Another program uses it by now, so it stays mounted.
      }
    },
  };
}

/** Mount point of tracefs in a list of mounts. Every user can read that list, but only root the mounted folder. */
export function mountPointOf(mounts: string): string | undefined {
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'tracefs')?.[1];
}

function isTracefs(path: string): boolean {
  return tryListFolder(path).includes('events');
}

function whyUnreadable(path: string): string {
  try {
    readdirSync(path);
    return '';
  } catch (error) {
    return `: ${isGone(error) ? 'no such directory' : 'not readable; this needs root'}`;
  }
}
