/**
 * A problem that the user can solve: its message says what failed, why, and what to do. Everything else that is thrown
 * is a bug.
 */
export class AgentError extends Error {
  override readonly name = 'AgentError';
}

/** An {@link AgentError} that names the file and says why the system refused it. */
export function fileError(path: string, cause: unknown): AgentError {
  return new AgentError(`${path}: ${errnoReason(cause)}`, { cause });
}

/** The error code that the system gave, such as `ENOENT`; '' for other errors. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/**
 * The file or process does not exist (any more): reading /proc/PID of a process that has ended gives ENOENT or ESRCH.
 */
export function isGone(error: unknown): boolean {
  return GONE.has(errnoOf(error));
}

/**
 * This process or this host has too many files open. Nothing is known about the file then, not even whether it exists.
 */
export function isOutOfFiles(error: unknown): boolean {
  return OUT_OF_FILES.has(errnoOf(error));
}

/**
 * A ring buffer has nothing to deliver at this moment: it is empty (EAGAIN), or the kernel has no memory for the spare
 * sub-buffer that a read swaps in (ENOMEM; tracing_buffers_read, kernel/trace/trace.c). The events stay in the buffer;
 * a later read returns them, or they are overwritten and counted as lost.
 */
export function isTransientReadError(error: unknown): boolean {
  return TRANSIENT.has(errnoOf(error));
}

/**
 * Why the system refused: the caller's `reasons` by error code, else the general ones, else the error's own message.
 */
export function errnoReason(error: unknown, reasons: Readonly<Record<string, string>> = {}): string {
  const code = errnoOf(error);
  return reasons[code] ?? REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH']);
const OUT_OF_FILES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);
const TRANSIENT: ReadonlySet<string> = new Set(['EAGAIN', 'ENOMEM']);

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied; read it as root, or give this user the right to read it',
  EPERM: 'not permitted; this needs root',
  EBUSY: 'in use by another program; end that program first',
  EISDIR: 'is a directory; name the files in it',
  ENOTDIR: 'a part of this path is not a directory',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files; raise the limit with ulimit -n',
  ENFILE: 'the host has too many open files; raise fs.file-max',
  ENOSPC: 'no space left on the device',
  EROFS: 'read-only file system',
};
