import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

const STICKY = 0o1000;

/**
 * True if another user than root and this one can put a file of their own into the folder, or another folder in its
 * place.
 */
export function isSharedFolder(folder: string): boolean {
  try {
    const real = realpathSync(folder);
    if (!isOurs(statSync(real)) || isWritableByOthers(statSync(real))) return true;
    for (let below = real, above = dirname(real); above !== below; below = above, above = dirname(above)) {
      const stats = statSync(above);
      // Members of a system group, such as syslog for /var/log, are trusted with what is above the folder.
      const othersMayReplace = (stats.mode & 0o002) !== 0 && (stats.mode & STICKY) === 0;
      if (!isOurs(stats) || othersMayReplace) return true;
    }
    return false;
  } catch {
    return true;
  }
}

/** True if root or this user owns the file or folder. */
export function isOurs({ uid }: Pick<Stats, 'uid'>): boolean {
  return uid === 0 || uid === process.getuid?.();
}

/** True if other users than the owner may write, apart from the group of root and of this user. */
export function isWritableByOthers({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): boolean {
  const isOurGroup = gid === 0 || gid === process.getgid?.();
  return (mode & (isOurGroup ? 0o002 : 0o022)) !== 0;
}
