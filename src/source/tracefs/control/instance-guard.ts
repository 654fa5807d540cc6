/**
 * Notices what other programs write to the files of a tracing instance, and sets it back.
 *
 * Two looks complement each other. Inotify reports each write at once, also one that leaves no trace, such as
 * `echo > trace` or a filter that is removed again. Reading the files finds changes without a write, and is all that is
 * left where inotify is used up. It takes 0.13 ms.
 */
import { enableFile, InstanceSettings } from './instance-settings.js';
import { WriteWatch } from './write-watch.js';

/** Time between two looks at the files while inotify reports writes. Otherwise each drain looks. */
const LOOK_MS = 10_000;

/** Paths in the instance. */
export interface Reverted {
  /** The files whose setting was another one, and which were written to. */
  readonly setBack: readonly string[];
  /** The files that the kernel did not let this program set back. */
  readonly notSetBack: readonly string[];
}

export class InstanceGuard {
  readonly #settings: InstanceSettings;
  readonly #onWrite: () => void;
  readonly #startWatch: () => WriteWatch;
  #watch: WriteWatch;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** True while this program switches events. */
  #isSwitching = false;

  /**
   * Takes the present settings for the right ones.
   * @param events the events that are recorded, as `system:name`
   * @param off those of them that should be off, until {@link switched}
   * @param onWrite called when another program has written to a file of the instance
   */
  constructor(instance: string, events: readonly string[], off: readonly string[], onWrite: () => void) {
    this.#settings = new InstanceSettings(instance, events);
    this.#settings.expect(off, false);
    this.#onWrite = onWrite;
    this.#startWatch = () => new WriteWatch(instance, events, onWrite);
    this.#watch = this.#startWatch();
  }

  /**
   * This program is about to write to the `enable` files of these events. Until {@link switched}, no file is read: the
   * kernel would make the reader of a control file wait for the write.
   */
  switching(events: readonly string[]): void {
    this.#isSwitching = true;
    this.#watch.expectOwn(events.map(enableFile));
  }

  /** The events are on or off, as they should be from now on. */
  switched(events: readonly string[], on: boolean): void {
    this.#isSwitching = false;
    this.#settings.expect(events, on);
    this.#watch.ignoreOwn(events.map(enableFile), () => this.#lookAgain());
  }

  /** Paths in the instance of the files that other programs wrote to since the last call. */
  takeChanges(nowMs: number): string[] {
    if (this.#isSwitching) return [];
    const written = this.#watch.take();
    if (written.length === 0 && this.#watch.isWatching && nowMs - this.#lookedMs < LOOK_MS) return written;
    this.#lookedMs = nowMs;
    return [...new Set([...written, ...this.#settings.changed()])];
  }

  /** True while it is not known yet whether another program wrote to the instance before the last {@link revert}. */
  get isSettling(): boolean {
    return this.#watch.isSettling;
  }

  /** Sets everything back. Other programs may have gone on writing since {@link takeChanges}. */
  revert(): Reverted {
    const setBack = this.#settings.revert();
    const notSetBack = this.#settings.changed();
    if (!this.#watch.isWatching) this.#watch = this.#startWatch();
    this.#watch.ignoreOwn(setBack, () => {
      if (notSetBack.length === 0) this.#lookAgain();
    });
    return { setBack, notSetBack };
  }

  /** Path in the instance of a file that does not exist any more; undefined if all do. */
  missing(): string | undefined {
    return this.#isSwitching ? undefined : this.#settings.missing();
  }

  close(): void {
    this.#watch.close();
  }

  /** Reports of other programs' writes may have been taken for this program's own. */
  #lookAgain(): void {
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#onWrite();
  }
}
