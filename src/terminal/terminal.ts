/**
 * The terminal as a screen: an alternate buffer without cursor, keys one by one. On every way out it is as it was: end,
 * error, signal, suspension with Ctrl-Z.
 */
import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import {
  beginSynchronizedOutput,
  cursorHide,
  cursorShow,
  cursorTo,
  endSynchronizedOutput,
  enterAlternativeScreen,
  eraseDown,
  eraseEndLine,
  exitAlternativeScreen,
} from 'ansi-escapes';

/** Keeps a line on one row, whatever width this terminal gives to its characters. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';
const RESET_STYLE = '\u001b[0m';

export interface Key {
  /** Name of the key, such as `up` or `return`; '' for one that has none. */
  readonly name: string;
  /** The character that it stands for; '' for none. */
  readonly text: string;
}

export interface TerminalEvents {
  readonly onKey: (key: Key) => void;
  /** Draws the screen again: it has another size, or other programs have drawn on it. */
  readonly onRedraw: () => void;
  /** Ctrl-C, a signal that ends the program, or a terminal that is gone. */
  readonly onEnd: () => void;
}

/** A key as node:readline has it. */
interface PressedKey {
  readonly name?: string;
  readonly sequence?: string;
  readonly ctrl?: boolean;
  readonly meta?: boolean;
}

/** Time until a program that asked to be stopped, and was not, takes its screen again. */
const RESUME_MS = 200;

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export class Terminal {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #events: TerminalEvents;
  #isOpen = false;
  #resumeTimer: NodeJS.Timeout | undefined;

  constructor(input: ReadStream, output: WriteStream, events: TerminalEvents) {
    this.#input = input;
    this.#output = output;
    this.#events = events;
  }

  get columns(): number {
    return this.#output.columns || 80;
  }

  get rows(): number {
    return this.#output.rows || 24;
  }

  open(): void {
    emitKeypressEvents(this.#input);
    this.#input.on('keypress', this.#onKeypress);
    this.#input.on('end', this.#events.onEnd);
    this.#input.on('error', this.#events.onEnd);
    this.#output.on('resize', this.#events.onRedraw);
    for (const signal of ENDING) process.on(signal, this.#events.onEnd);
    process.on('SIGTSTP', this.#suspend);
    process.on('SIGCONT', this.#resume);
    process.on('exit', this.#leave);
    // Before the message is printed, which would vanish with the alternate screen.
    process.on('uncaughtExceptionMonitor', this.#leave);
    this.#enter();
  }

  /** Leaves the terminal as it was. */
  close(): void {
    clearTimeout(this.#resumeTimer);
    this.#leave();
    this.#input.off('keypress', this.#onKeypress);
    this.#input.off('end', this.#events.onEnd);
    this.#input.off('error', this.#events.onEnd);
    this.#output.off('resize', this.#events.onRedraw);
    for (const signal of ENDING) process.off(signal, this.#events.onEnd);
    process.off('SIGTSTP', this.#suspend);
    process.off('SIGCONT', this.#resume);
    process.off('exit', this.#leave);
    process.off('uncaughtExceptionMonitor', this.#leave);
  }

  /** @param lines at most as many as there are rows, each at most as wide as the screen */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    // Erased before it is written: after a line as wide as the screen, the cursor is still on its last character.
    const text = lines.slice(0, this.rows).map((line) => `${eraseEndLine}${line}${RESET_STYLE}`);
    this.#output.write(
      `${beginSynchronizedOutput}${cursorTo(0, 0)}${text.join('\r\n')}${eraseDown}${endSynchronizedOutput}`,
    );
  }

  readonly #onKeypress = (character: string | undefined, key: PressedKey) => {
    if (key.ctrl === true) {
      // In this mode the terminal sends these keys, and no signals.
      if (key.name === 'c' || key.name === 'd') this.#events.onEnd();
      else if (key.name === 'z') this.#suspend();
      else if (key.name === 'l') this.#events.onRedraw();
      return;
    }
    const { name = '', meta, sequence = '' } = key;
    if (meta !== true || name === 'escape') return this.#events.onKey({ name, text: character ?? '' });
    // Esc and a key that follows at once look like that key with Alt.
    this.#events.onKey({ name: 'escape', text: '' });
    this.#events.onKey({ name, text: sequence.slice(1) });
  };

  /** Stops the program as the shell expects it, with all that it was started with. */
  readonly #suspend = () => {
    this.#leave();
    process.off('SIGTSTP', this.#suspend);
    process.kill(0, 'SIGTSTP');
    // The kernel does not stop a program that no shell can continue: it goes on as if nothing had happened.
    this.#resumeTimer = setTimeout(this.#resume, RESUME_MS);
  };

  readonly #resume = () => {
    clearTimeout(this.#resumeTimer);
    process.off('SIGTSTP', this.#suspend);
    process.on('SIGTSTP', this.#suspend);
    this.#leave();
    this.#enter();
    this.#events.onRedraw();
  };

  #enter(): void {
    this.#isOpen = true;
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(`${enterAlternativeScreen}${cursorHide}${NO_WRAP}`);
  }

  readonly #leave = () => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.write(`${RESET_STYLE}${WRAP}${cursorShow}${exitAlternativeScreen}`);
    this.#input.setRawMode(false);
    this.#input.pause();
  };
}
