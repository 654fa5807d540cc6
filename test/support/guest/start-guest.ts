/** Starts QEMU with a guest whose exits are known. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { GUEST_EXIT_STATUS, guestFirmware, ROUNDS, type Step } from './firmware.js';

export interface GuestOptions {
  readonly name: string;
  readonly uuid?: string;
  /** What the first vCPU does. */
  readonly steps: readonly Step[];
  readonly vcpus?: number;
  /** What each further vCPU does. */
  readonly others?: readonly Step[];
  readonly extraArgs?: readonly string[];
  /** The program to start: a QEMU of another build. */
  readonly qemu?: string;
}

export interface RunningGuest {
  readonly name: string;
  readonly pid: number;
  /** Waits until the guest has ended itself, which it does after its last step. */
  finished(): Promise<void>;
  /** How often `forever` has gone round: read from the guest's memory, so that asking costs it nothing. */
  rounds(): number;
  /** Ends it, whatever it does. */
  kill(): Promise<void>;
}

const SHARED_MEMORY = '/dev/shm';
const MEMORY_MIB = 16;

export function startGuest(options: GuestOptions): RunningGuest {
  const { name, steps, vcpus = 1, others = [], qemu = 'qemu-system-x86_64' } = options;
  const folder = mkdtempSync(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), 'exact-guest-'));
  const image = join(folder, 'guest.rom');
  writeFileSync(image, guestFirmware(vcpus > 1 ? { steps, others: { cpus: vcpus - 1, steps: others } } : { steps }));
  const memory = join(folder, 'memory');
  const child = spawn(qemu, [...machine(options, vcpus), ...memoryIn(memory), '-bios', image], {
    cwd: folder, // where a QEMU with the simple backend leaves its trace
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  let rounds: number | undefined;
  const ended = once(child, 'close').then(() => {
    rounds = readNumber(memory, ROUNDS);
    rmSync(folder, { recursive: true, force: true });
    isEnded();
  });
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  };
  const isEnded = endLater(kill);
  return {
    name,
    pid: child.pid ?? -1,
    async finished() {
      await ended;
      assert.equal(child.exitCode, GUEST_EXIT_STATUS, `${name}: ${child.signalCode ?? ''} ${stderr}`);
    },
    rounds: () => rounds ?? readNumber(memory, ROUNDS),
    kill,
  };
}

function machine({ name, uuid, extraArgs = [] }: GuestOptions, vcpus: number): string[] {
  return [
    ...['-accel', 'kvm', '-machine', 'pc,kernel_irqchip=on', '-m', String(MEMORY_MIB), '-smp', String(vcpus)],
    ...['-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-name', `guest=${name},debug-threads=on`, ...(uuid === undefined ? [] : ['-uuid', uuid])],
    ...['-device', 'isa-debugcon,iobase=0x402,chardev=d', '-chardev', 'null,id=d'],
    ...['-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
    ...extraArgs,
  ];
}

function memoryIn(file: string): string[] {
  const backend = `memory-backend-file,id=ram,size=${MEMORY_MIB}M,share=on,mem-path=${file}`;
  return ['-object', backend, '-machine', 'memory-backend=ram'];
}

/** 0 where QEMU did not get as far as to make the file. */
function readNumber(file: string, at: number): number {
  if (!existsSync(file)) return 0;
  const bytes = Buffer.alloc(4);
  const fd = openSync(file, 'r');
  readSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
  return bytes.readUInt32LE();
}
