/** The directory that `record` writes, and the README.md in it. */
import { mkdirSync, readdirSync } from 'node:fs';
import { cpus, release, version } from 'node:os';
import { join } from 'node:path';
import { AgentError, fileError, isGone } from '../../system/errors.js';
import { saveFile } from '../../system/files.js';
import { VERSION } from '../../system/version.js';

export interface CaptureNotes {
  /** The arguments that the program was started with. */
  readonly argv: readonly string[];
  /** `10 s`, `until Ctrl-C`. */
  readonly length: string;
  /** `system:name` */
  readonly events: readonly string[];
  /** Undefined while the capture goes on. */
  readonly summary: string | undefined;
}

/** @throws AgentError unless the directory does not exist yet, or is empty */
export function requireUnused(path: string): void {
  let entries: string[];
  try {
    entries = readdirSync(path);
  } catch (error) {
    if (isGone(error)) return;
    throw fileError(path, error);
  }
  if (entries.length > 0) throw new AgentError(`${path}: is not empty; give a directory that does not exist yet`);
}

/** Only its owner may look into it: it will hold command lines. */
export function createCaptureDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(path, error);
  }
}

export function writeCaptureReadme(directory: string, { argv, length, events, summary }: CaptureNotes): void {
  saveFile(
    join(directory, 'README.md'),
    `# Recording of KVM's trace

Read it with \`kvm-exit-exporter report DIR\`, where DIR is this directory, wherever it is.

- Host: Linux ${release()} ${version()}, ${process.arch}, ${cpus().length} x ${cpus()[0]?.model ?? 'CPU'}
- Date: ${new Date().toISOString()}, ${length}
- Command: \`kvm-exit-exporter ${argv.join(' ')}\`, version ${VERSION}
- Events: ${events.join(', ')}

${summary ?? 'The recording was not finished: statistics and names of threads are missing.'}

| file | content |
|---|---|
| cpuN.raw | sub-buffers of CPU N's ring buffer, as read from trace_pipe_raw |
| tracefs/ | formats of the events, header_page, clock, sub-buffer size, names of threads |
| stats/cpuN | the buffer's own statistics at the end: events read and lost |
| proc/ | /proc of the VMs' processes. **It holds command lines: look for secrets before you pass it on** |
`,
  );
}
