/** Where tracefs is mounted; mounts it where it is not. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { AgentError } from '../../system/errors.js';

/** Where distributions and the kernel put it, in the order of preference. */
const MOUNT_POINTS = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

export interface Tracefs {
  readonly path: string;
  /** False once somebody has unmounted it. */
  isThere(): boolean;
  /** Take back what {@link findTracefs} did. */
  release(): void;
}

/** @throws AgentError that says what is missing and the command that gives it */
export function findTracefs(path: string | undefined): Tracefs {
  const release = () => {};
  const at = (where: string): Tracefs => ({ path: where, isThere: () => isTracefs(where), release });
  if (path !== undefined) {
    if (!isTracefs(path))
      throw new AgentError(`--path.tracefs=${path}: no tracefs there (no events/ in it)${denied(path)}`);
    return at(path);
  }
  const mounted = MOUNT_POINTS.find(isTracefs);
  if (mounted !== undefined) return at(mounted);
  return mountTracefs();
}

function mountTracefs(): Tracefs {
  const [path = ''] = MOUNT_POINTS;
  const command = `mount -t tracefs nodev ${path}`;
  if (process.getuid?.() !== 0)
    throw new AgentError(`tracefs is not mounted, or not for this user to see; as root: ${command}`);
  try {
    execFileSync('mount', ['-t', 'tracefs', 'nodev', path], { stdio: 'pipe' });
  } catch (error) {
    throw new AgentError(
      `tracefs is not mounted and cannot be: ${command} failed; a container needs the host's bound to that place, the kernel CONFIG_TRACING, and lockdown refuses it`,
      {
        cause: error,
      },
    );
  }
  if (!isTracefs(path))
    throw new AgentError(`${path}: mounted, but not readable; kernel lockdown (confidentiality) refuses tracefs`);
  return {
    path,
    isThere: () => isTracefs(path),
    release: () => {
      try {
        execFileSync('umount', [path], { stdio: 'pipe' });
      } catch {
        // Somebody else uses it by now: then it stays, as it would have been needed anyway.
      }
    },
  };
}

function isTracefs(path: string): boolean {
  try {
    return readdirSync(path).includes('events');
  } catch {
    return false;
  }
}

function denied(path: string): string {
  try {
    readdirSync(path);
    return '';
  } catch (error) {
    return `: ${error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'no such directory' : 'not readable; this needs root'}`;
  }
}
