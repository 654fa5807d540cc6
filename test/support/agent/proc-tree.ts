/** A small /proc tree in a temporary folder, in the format of Documentation/filesystems/proc.rst. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface FakeTask {
  tid: number;
  comm?: string;
  startTime?: number;
  cgroup?: string;
  /** State and flags as `stat` has them. */
  state?: string;
  flags?: number;
  /** Ids from the host's pid namespace inwards (NSpid); by default only the host's. */
  ids?: readonly number[];
}

export interface FakeProcess extends Omit<FakeTask, 'tid'> {
  pid: number;
  args?: readonly string[];
  parent?: number;
  kernel?: boolean;
  /** Effective user id. */
  uid?: number;
  threads?: readonly FakeTask[];
  /** What the descriptors of the process are links to: paths, or `socket:[INODE]`; besides those of {@link hasVm}. */
  descriptors?: readonly string[];
  /** False if the process has no VM open; default: true. */
  hasVm?: boolean;
}

/** What KVM calls the descriptors of a VM and of its first vCPU (kvm_dev_ioctl_create_vm, create_vcpu_fd). */
const VM_DESCRIPTORS = ['/dev/kvm', 'anon_inode:kvm-vm', 'anon_inode:kvm-vcpu:0'];

export class ProcTree {
  readonly root: string;

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'proc-tree-'));
    t.after(() => rmSync(this.root, { recursive: true, force: true }));
  }

  /** Writes a process, which replaces one with the same id and all its threads. */
  put(process: FakeProcess): void {
    const { pid, args = [], threads = [], descriptors = [] } = process;
    const folder = join(this.root, String(pid));
    this.remove(pid);
    this.#write(folder, { ...process, tid: pid }, pid, process);
    writeFileSync(join(folder, 'cmdline'), args.map((arg) => `${arg}\0`).join(''));
    mkdirSync(join(folder, 'fd'));
    const all = process.hasVm === false ? descriptors : [...descriptors, ...VM_DESCRIPTORS];
    for (const [fd, target] of all.entries()) symlinkSync(target, join(folder, 'fd', String(fd)));
    const inherited = { comm: process.comm ?? '', startTime: process.startTime ?? 0, cgroup: process.cgroup ?? '' };
    const main = { ...process, ...inherited, tid: pid, ...(process.ids === undefined ? {} : { ids: process.ids }) };
    for (const task of [main, ...threads]) {
      this.#write(join(folder, 'task', String(task.tid)), { ...inherited, ...task }, pid, process);
    }
  }

  /** Writes a file at the root, such as `stat` or `uptime`. */
  write(file: string, text: string): void {
    writeFileSync(join(this.root, file), text);
  }

  remove(pid: number): void {
    rmSync(join(this.root, String(pid)), { recursive: true, force: true });
  }

  /**
   * Makes the tree answer for a thread's own id, as a live /proc does: with the command line and the threads of its
   * process. Call it after `put`.
   */
  answerForThread(pid: number, tid: number): void {
    const [process, thread] = [join(this.root, String(pid)), join(this.root, String(tid))];
    cpSync(process, thread, { recursive: true, verbatimSymlinks: true });
    cpSync(join(process, 'task', String(tid)), thread, { recursive: true });
  }

  #write(folder: string, task: FakeTask, pid: number, process: FakeProcess): void {
    const { tid, comm = 'x', startTime = 0, cgroup = '', ids = [tid], state = 'S' } = task;
    const { parent = 1, kernel = false, uid = 0 } = process;
    const flags = task.flags ?? (kernel ? 0x208040 : 0x400040);
    mkdirSync(folder, { recursive: true });
    const before = [state, parent, 1, 1, 0, -1, flags, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 1, 0];
    writeFileSync(join(folder, 'stat'), `${tid} (${comm}) ${before.join(' ')} ${startTime} 1000 2000 0 0 0\n`);
    writeFileSync(
      join(folder, 'status'),
      `Name:\t${comm}\nUmask:\t0022\nTgid:\t${pid}\nNgid:\t0\nPid:\t${tid}\nUid:\t1\t${uid}\t2\t3\nNSpid:\t${ids.join('\t')}\nNSpgid:\t1\n`,
    );
    writeFileSync(join(folder, 'cgroup'), cgroup);
  }
}
