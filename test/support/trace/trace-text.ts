/** Writes the text of trace_pipe as Linux 6.12 prints it on an AMD host, with the times that a test chooses. */

export interface VcpuThread {
  /** Process id, which is the VM's name in a report without /proc. */
  readonly pid: number;
  readonly vcpu?: number;
  /** Host CPU. */
  readonly cpu?: number;
}

export class TraceText {
  readonly #lines: string[] = [];

  /** An exit that KVM handles by itself. */
  handled(thread: VcpuThread, atUs: number, reason: string, us: number): this {
    return this.exit(thread, atUs, reason).entry(thread, atUs + us);
  }

  /** An `out` to a port, which KVM passes on to QEMU after `kvmUs`, and which QEMU answers within `qemuUs`. */
  out(thread: VcpuThread, atUs: number, port: number, kvmUs: number, qemuUs: number): this {
    return this.exit(thread, atUs, 'io')
      .line(thread, atUs, `kvm_pio: pio_write at 0x${port.toString(16)} size 1 count 1 val 0x1 `)
      .line(thread, atUs + kvmUs, 'kvm_userspace_exit: reason KVM_EXIT_IO (2)')
      .entry(thread, atUs + kvmUs + qemuUs);
  }

  exit(thread: VcpuThread, atUs: number, reason: string): this {
    const { vcpu = 0 } = thread;
    return this.line(
      thread,
      atUs,
      `kvm_exit: vcpu ${vcpu} reason ${reason} rip 0x1 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0`,
    );
  }

  entry(thread: VcpuThread, atUs: number): this {
    return this.line(thread, atUs, `kvm_entry: vcpu ${thread.vcpu ?? 0}, rip 0x1`);
  }

  line({ pid, vcpu = 0, cpu = 0 }: VcpuThread, atUs: number, event: string): this {
    const time = `${Math.floor(atUs / 1e6)}.${String(atUs % 1e6).padStart(6, '0')}`;
    const header = `CPU ${vcpu}/KVM-${pid + 1 + vcpu}`.padStart(23);
    this.#lines.push(
      `${header} (${String(pid).padStart(7)}) [${String(cpu).padStart(3, '0')}] d..1. ${time}: ${event}`,
    );
    return this;
  }

  /** Events of one CPU that are missing here. */
  lost(cpu: number, events: number): this {
    this.#lines.push(`CPU:${cpu} [LOST ${events} EVENTS]`);
    return this;
  }

  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }
}
