/** Thrown inside of this folder where the packed data contradicts itself; {@link ZstdDecoder} catches it. */
export class ZstdDamage extends Error {}

export function ensure(holds: boolean, what: string): asserts holds {
  if (!holds) throw new ZstdDamage(what);
}
