import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { GUEST_EXIT_STATUS, guestFirmware } from './firmware.js';
import { GO_ON, type Step, WRITE_COUNTER } from './steps.js';

export interface GuestOptions {
  readonly name: string;
  readonly uuid?: string;
  /** What the first vCPU does. */
  readonly steps: readonly Step[];
  readonly vcpus?: number;
  /** vCPUs that can be plugged in later, and that the step `startSecondary` starts. */
  readonly pluggable?: number;
  /** Default: {@link MEMORY_MIB}. */
  readonly memoryMiB?: number;
  /** Mount point of hugetlbfs, where the memory is then, all of it allocated at the start. */
  readonly hugePages?: string;
  /** What each vCPU after the first does. */
  readonly secondarySteps?: readonly Step[];
  readonly extraArgs?: readonly string[];
  /** Command that runs QEMU, such as `taskset -c 1`. */
  readonly prefix?: readonly string[];
  /** QEMU program to start; default: qemu-system-x86_64. */
  readonly qemu?: string;
}

export interface RunningGuest {
  readonly name: string;
  readonly pid: number;
  /**
   * Waits until the guest has ended itself, which it does after its last step. Fails if QEMU ended in any other way.
   */
  finished(): Promise<void>;
  /**
   * Port writes that the steps `forever` and `bursts` have done, as the guest counts them. Read from guest memory, at
   * no cost to it.
   */
  writesDone(): number;
  /** Ends the step `waitForHost`. */
  goOn(): void;
  /** What QEMU has said so far. */
  words(): string;
  /** What QEMU said before it ended; undefined while it runs. */
  lastWords(): string | undefined;
  /** Kills QEMU. */
  kill(): Promise<void>;
}

/** Folder in memory, where reading a guest's memory file costs no disk access. */
const SHARED_MEMORY = '/dev/shm';
const MEMORY_MIB = 16;

/** Starts QEMU with a guest whose exits are known; see {@link guestFirmware}. */
export function startGuest(options: GuestOptions): RunningGuest {
  const { name, steps, vcpus = 1, pluggable = 0, secondarySteps = [] } = options;
  const { qemu = 'qemu-system-x86_64', prefix = [] } = options;
  const folder = mkdtempSync(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), 'exact-guest-'));
  const image = join(folder, 'guest.rom');
  const secondary = { cpus: vcpus - 1 + pluggable, steps: secondarySteps };
  writeFileSync(image, guestFirmware(secondary.cpus > 0 ? { steps, secondary } : { steps }));
  const { memoryMiB = MEMORY_MIB, hugePages } = options;
  const memory = hugePages === undefined ? join(folder, 'memory') : join(hugePages, name);
  const backend = memoryIn(memory, memoryMiB, hugePages !== undefined);
  const [command = '', ...args] = [...prefix, qemu, ...machine(options, vcpus), ...backend, '-bios', image];
  const child = spawn(command, args, {
    cwd: folder, // a QEMU with the simple trace backend writes its trace here
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  let finalCount: number | undefined;
  const ended = once(child, 'close').then(() => {
    finalCount = readNumber(memory, WRITE_COUNTER);
    rmSync(folder, { recursive: true, force: true });
    forget();
  });
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  };
  const forget = endLater(kill);
  return {
    name,
    pid: child.pid ?? -1,
    async finished() {
      await ended;
      assert.equal(child.exitCode, GUEST_EXIT_STATUS, `${name}: ${child.signalCode ?? ''} ${stderr}`);
    },
    writesDone: () => finalCount ?? readNumber(memory, WRITE_COUNTER),
    goOn: () => setByte(memory, GO_ON),
    words: () => stderr,
    lastWords: () => (child.exitCode === null && child.signalCode === null ? undefined : stderr),
    kill,
  };
}

function machine(options: GuestOptions, vcpus: number): string[] {
  const { name, uuid, memoryMiB = MEMORY_MIB, pluggable = 0, extraArgs = [] } = options;
  const smp = pluggable === 0 ? String(vcpus) : `${vcpus},maxcpus=${vcpus + pluggable}`;
  return [
    // QEMU takes the first accelerator that works, with its options.
    ...(extraArgs.includes('-accel') ? [] : ['-accel', 'kvm']),
    ...['-machine', 'pc,kernel-irqchip=on', '-m', String(memoryMiB), '-smp', smp],
    ...['-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-name', `guest=${name},debug-threads=on`, ...(uuid === undefined ? [] : ['-uuid', uuid])],
    ...['-device', 'isa-debugcon,iobase=0x402,chardev=d', '-chardev', 'null,id=d'],
    ...['-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
    ...extraArgs,
  ];
}

function memoryIn(file: string, memoryMiB: number, isAllocated: boolean): string[] {
  const backend = `memory-backend-file,id=ram,size=${memoryMiB}M,share=on,mem-path=${file},prealloc=${isAllocated ? 'on' : 'off'}`;
  return ['-object', backend, '-machine', 'memory-backend=ram'];
}

/** The 32-bit number at an offset of a file; 0 if QEMU has not created the file. */
function readNumber(file: string, at: number): number {
  if (!existsSync(file)) return 0;
  const bytes = Buffer.alloc(4);
  const fd = openSync(file, 'r');
  readSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
  return bytes.readUInt32LE();
}

function setByte(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from([1]), 0, 1, at);
  closeSync(fd);
}
