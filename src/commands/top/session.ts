import type { VmDetail } from '../../rates/vm-detail.js';
import type { CurrentRates } from '../../rates/vm-rates.js';
import { AgentError } from '../../system/errors.js';
import { fit } from '../../terminal/fit.js';
import { dim } from '../../terminal/styles.js';
import { type Key, Terminal } from '../../terminal/terminal.js';
import { detailView } from './detail-view.js';
import { FOOTER, HELP } from './help-view.js';
import { listRows, listView, type Screen, titleText } from './list-view.js';
import { afterKey, type UiState } from './ui-state.js';
import type { VmSource } from './vm-source.js';

/** Time until the second look, which has the first rates. */
const FIRST_MS = 500;
const NOTHING: CurrentRates = {
  seconds: null,
  vms: [],
  sampled_fraction: null,
  lost_events: 0,
  lost_events_per_second: null,
  sources: [],
};

/** A session of `top` in a terminal: asks the source at intervals, draws, and obeys keys. */
export class Session {
  readonly #source: VmSource;
  readonly #terminal: Terminal;
  #state: UiState;
  #rates = NOTHING;
  #detail: VmDetail | undefined;
  /** Reason why the latest question has no answer; '' if it has one. */
  #problem = '';
  #isAsking = false;
  #hasAnswered = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #end: () => void = () => {};
  #fail: (error: unknown) => void = () => {};

  constructor(source: VmSource, state: UiState) {
    this.#source = source;
    this.#state = state;
    this.#terminal = new Terminal(process.stdin, process.stdout, {
      onKey: (key) => this.#onKey(key),
      onRedraw: () => this.#draw(),
      onEnd: () => this.#end(),
    });
  }

  /** Resolves when the user ends it. @throws what the source throws, if it is a bug or the first answer */
  async run(): Promise<void> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    this.#terminal.open();
    try {
      this.#draw();
      this.#ask(FIRST_MS);
      await ended;
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
      this.#terminal.close();
    }
  }

  /** Asks the source, draws the answer, and asks again later. */
  #ask(pauseMs = this.#state.intervalMs): void {
    clearTimeout(this.#timer);
    this.#isAsking = true;
    this.#answer()
      .then(() => {
        this.#isAsking = false;
        if (this.#isOver) return;
        this.#draw();
        this.#timer = setTimeout(() => this.#askUnlessPaused(), pauseMs);
      })
      .catch(this.#fail);
  }

  #askUnlessPaused(): void {
    if (!this.#state.isPaused) this.#ask();
  }

  async #answer(): Promise<void> {
    try {
      this.#rates = await this.#source.current();
      await this.#readDetail();
      this.#problem = '';
      this.#hasAnswered = true;
    } catch (error) {
      // Without any answer, the address is wrong or the agent does not run. Later it may be restarted.
      if (!(error instanceof AgentError) || !this.#hasAnswered) throw error;
      this.#problem = error.message;
    }
  }

  async #readDetail(): Promise<void> {
    const { view, selected } = this.#state;
    this.#detail = view === 'detail' && selected !== undefined ? await this.#source.detail(selected) : undefined;
  }

  #onKey(key: Key): void {
    const before = this.#state;
    this.#state = afterKey(before, key, this.#rates.vms, this.#pageRows);
    if (this.#state.hasEnded) return this.#end();
    const opens = this.#state.view === 'detail' && before.view !== 'detail';
    const goesOn = (before.isPaused && !this.#state.isPaused) || this.#state.intervalMs < before.intervalMs;
    if (opens) this.#open();
    else if (goesOn && !this.#isAsking) this.#askUnlessPaused();
    this.#draw();
  }

  /** Reads a VM at once, also while the figures are paused: they are those of the same time. */
  #open(): void {
    this.#detail = undefined;
    this.#readDetail()
      .catch((error: unknown) => {
        if (error instanceof AgentError) this.#problem = error.message;
        else this.#fail(error);
      })
      .finally(() => this.#draw());
  }

  get #pageRows(): number {
    return listRows(this.#listScreen);
  }

  /** The screen without the title and the footer. */
  get #listScreen(): Screen {
    const { columns, rows } = this.#terminal;
    return { columns, rows: rows - 1 };
  }

  #draw(): void {
    const { columns, rows } = this.#terminal;
    const title = titleText(this.#source.name, this.#state, this.#problem, columns);
    const isOld = this.#problem !== '';
    const body = this.#body().map((line) => (isOld ? dim(line) : line));
    const footer = this.#state.isTyping ? `filter: ${this.#state.filter}_` : FOOTER;
    const room = Math.max(0, rows - 2);
    const shown = body.slice(0, room);
    const blank = Array.from({ length: room - shown.length }, () => '');
    this.#terminal.draw([title, ...shown, ...blank, dim(fit(footer, columns))]);
  }

  #body(): string[] {
    const { view, scroll, selected = '' } = this.#state;
    if (view === 'list') return listView(this.#rates, this.#state, this.#listScreen);
    const { columns } = this.#terminal;
    const lines = view === 'help' ? HELP.map((line) => fit(line, columns)) : this.#detailLines(selected, columns);
    const last = Math.max(0, lines.length - this.#pageRows);
    if (scroll > last) this.#state = { ...this.#state, scroll: last };
    return lines.slice(Math.min(scroll, last));
  }

  #detailLines(vm: string, columns: number): string[] {
    if (this.#detail !== undefined) return detailView(this.#detail, columns);
    const isKnown = this.#rates.vms.some((row) => row.vm === vm);
    return [fit(isKnown ? 'reading ...' : 'This VM is gone (Esc goes back).', columns)];
  }
}
