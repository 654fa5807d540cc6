/** Something the user can mend: one clear line that says what is wrong and what to do. Everything else that is thrown is a bug. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
}

/** What the system says when a file can't be had, in words that name the file and the remedy. */
export function fileError(path: string, cause: unknown): AgentError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new AgentError(`${path}: ${FILE_ERRORS[code] ?? (cause instanceof Error ? cause.message : String(cause))}`, {
    cause,
  });
}

/** This process, or the host, has as many files open as it may: what a file says is not known then, also not that it is gone. */
export function isOutOfFiles(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}

/**
 * True if a read of a ring buffer failed only for now: the buffer is empty, or the kernel has no memory for the sub-buffer that it swaps in
 * (tracing_buffers_read allocates one of the same size). The events stay in the buffer; a later read gets them, or the kernel counts them as lost.
 */
export function isTransientReadError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'ENOMEM');
}

const FILE_ERRORS: Record<string, string> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied; read it as root, or give this user the right to read it',
  EPERM: 'not permitted; this needs root',
  EBUSY: 'in use by another program, which has to end first',
  EISDIR: 'is a directory; name the files in it',
  ENOTDIR: 'a part of this path is not a directory',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files; raise the limit with ulimit -n',
  ENFILE: 'the host has too many open files; raise fs.file-max',
  ENOSPC: 'no space left on the device',
  EROFS: 'read-only file system',
};
