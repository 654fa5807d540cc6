/** Work in steps, between which other work may be done. */
export type Steps<T> = Generator<void, T, void>;

/** Does all steps at once. */
export function finish<T>(steps: Steps<T>): T {
  return new Stepwise(steps).finish();
}

/** Work in steps that several callers share: one does a step at a time, one that cannot wait does all that are left. */
export class Stepwise<T> {
  readonly #steps: Steps<T>;
  #outcome: (() => T) | undefined;

  constructor(steps: Steps<T>) {
    this.#steps = steps;
  }

  /** Does the next step, if one is left. Returns false once there is none. */
  step(): boolean {
    if (this.#outcome !== undefined) return false;
    try {
      const { done, value } = this.#steps.next();
      if (done === true) this.#outcome = () => value;
    } catch (error) {
      this.#outcome = () => {
        throw error;
      };
    }
    return this.#outcome === undefined;
  }

  /** Does the steps that are left. It throws nothing: {@link finish} does. */
  complete(): void {
    while (this.step());
  }

  /**
   * Does the steps that are left, and returns the result.
   * @throws what a step has thrown, also if another caller did that step
   */
  finish(): T {
    this.complete();
    return (this.#outcome as () => T)();
  }
}
