/** Machine code of x86 in real mode, as bytes. */

/** Stores a 32-bit value at any address; needs unreal mode. */
export function store(address: number, value: number): number[] {
  return [
    ...[0x66, 0xbf, ...long(address)], //                    mov edi, address
    ...[0x64, 0x67, 0x66, 0xc7, 0x07, ...long(value)], //    mov dword [fs:edi], value
  ];
}

/** Repeats `body`: mov ecx, count; body; dec ecx; jnz. */
export function repeat(count: number, body: readonly number[]): number[] {
  return [0x66, 0xb9, ...long(count), ...loopEcx(body)];
}

export function loopEcx(body: readonly number[]): number[] {
  const once = [...body, 0x66, 0x49];
  return [...once, 0x75, back(once)];
}

/** Displacement of a short jump that follows `body` and goes back to its start. */
export function back(body: readonly number[]): number {
  return 0x100 - (body.length + 2);
}

export function word(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

export function long(value: number): number[] {
  return [...word(value), ...word(value >>> 16)];
}

export function quad(value: bigint): number[] {
  return [...long(Number(value & 0xffffffffn)), ...long(Number(value >> 32n))];
}
