/**
 * The same arguments of QEMU without the MSR IA32_ARCH_CAPABILITIES (0x10a), which tells a guest which weaknesses its
 * CPU has. KVM of some virtual hosts offers it and then refuses its value, and QEMU 7.2 ends.
 */
export function withoutArchCapabilities(args: string): string {
  return args.replaceAll('-cpu host', '-cpu host,-arch-capabilities');
}
