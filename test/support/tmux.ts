/** A real terminal for tests: a shell in tmux, with keys and a screen. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from './end-later.js';
import { HANG_MS } from './patience.js';

let servers = 0;

export class Tmux {
  readonly #server = `kvm-exit-exporter-test-${process.pid}-${++servers}`;
  #isClosed = false;

  /** @param program what the terminal runs instead of a shell */
  constructor(columns: number, rows: number, program?: string) {
    const size = ['-x', String(columns), '-y', String(rows)];
    // A window of a fixed size, and no configuration of the user.
    this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, program ?? 'env PS1="READY " bash --norc --noprofile');
    // Files that a test makes go to a folder of its own.
    const folder = mkdtempSync(join(tmpdir(), 'tmux-'));
    if (program === undefined) this.line(`cd ${folder}`);
    endLater(async () => {
      this.close();
      rmSync(folder, { recursive: true });
    });
  }

  /** Takes the terminal away from the programs in it. */
  close(): void {
    if (!this.#isClosed) this.#tmux('kill-server');
    this.#isClosed = true;
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#server, ...args], { encoding: 'utf8' });
  }

  /** Sends a signal to the processes that have the terminal. */
  signal(name: NodeJS.Signals): void {
    process.kill(-this.foreground(), name);
  }

  /** Id of the process group that has the terminal, which is that of its first process. */
  foreground(): number {
    const shell = this.#tmux('display-message', '-p', '#{pane_pid}').trim();
    // proc(5): tpgid is the sixth field after the name in parentheses.
    const group = readFileSync(`/proc/${shell}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[5];
    return Number(group);
  }

  /** Types a line, and Enter. */
  line(text: string): void {
    this.#tmux('send-keys', '-l', text);
    this.#tmux('send-keys', 'Enter');
  }

  /** Presses keys, by tmux' names. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  screen(): string[] {
    return this.#tmux('capture-pane', '-p').split('\n').slice(0, -1);
  }

  /** Waits until the text is on the screen, and returns the screen. */
  async until(what: string | RegExp, withinMs = HANG_MS): Promise<string[]> {
    const isThere = (text: string) => (typeof what === 'string' ? text.includes(what) : what.test(text));
    for (const endMs = Date.now() + withinMs; ; await sleep(50)) {
      const screen = this.screen();
      if (isThere(screen.join('\n'))) return screen;
      if (Date.now() > endMs) assert.fail(`no ${what} on the screen:\n${screen.join('\n')}`);
    }
  }

  /** Modes that a program may have changed: alternate screen, visible cursor, wrapped lines. */
  modes(): string {
    return this.#tmux('display-message', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}').trim();
  }
}
