/**
 * Divides a whole number into whole parts, period after period. What a part lacks, or has too much, is made up for in
 * the next period, so each part is always within one or two of its exact value.
 */
export class WholeNumbers {
  /** Key of the part -> what it lacks; negative if it has too much. */
  readonly #owed = new Map<string, number>();

  /**
   * @param parts key -> its exact share, not negative
   * @param total the whole number that the results add up to
   */
  round(parts: ReadonlyMap<string, number>, total: number): Map<string, number> {
    const result = new Map<string, number>();
    let left = total;
    for (const [key, share] of parts) {
      const due = share + (this.#owed.get(key) ?? 0);
      const whole = Math.max(0, Math.min(left, Math.floor(due)));
      result.set(key, whole);
      this.#owed.set(key, due - whole);
      left -= whole;
    }
    const byNeed = [...parts.keys()].sort((a, b) => (this.#owed.get(b) ?? 0) - (this.#owed.get(a) ?? 0));
    for (let at = 0; left > 0 && byNeed.length > 0; at = (at + 1) % byNeed.length) {
      const key = byNeed[at] as string;
      // More than one for each part only if the shares do not add up to the total.
      const more = Math.max(1, Math.floor(left / byNeed.length));
      result.set(key, (result.get(key) ?? 0) + more);
      this.#owed.set(key, (this.#owed.get(key) ?? 0) - more);
      left -= more;
    }
    return result;
  }
}
