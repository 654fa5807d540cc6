/**
 * A headless Chromium, driven over its DevTools protocol: messages of JSON with a NUL after each, on two pipes
 * (--remote-debugging-pipe). No package is needed for that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAvailable } from '../requirements.js';
import { BrowserPage } from './browser-page.js';

const COMMAND_TIMEOUT_MS = 60_000;
const MAX_CLOSE_MS = 5000;

/** Parameters or the result of a command of the DevTools protocol. */
export type Json = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
}

type Listener = (method: string, params: Json) => void;

export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #commands: Writable;
  readonly #pending = new Map<number, { resolve: (result: Json) => void; reject: (error: Error) => void }>();
  readonly #listeners = new Map<string, Listener>();
  #lastId = 0;

  private constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'chromium-'));
    const features = ['background-networking', 'component-update', 'sync', 'quic', 'gpu', 'dev-shm-usage'];
    const flags = ['--headless', '--remote-debugging-pipe', '--no-first-run', '--hide-scrollbars', '--mute-audio'];
    // Chromium's sandbox does not work for root.
    if (isAvailable('root')) flags.push('--no-sandbox');
    this.#process = spawn(
      'chromium',
      [...flags, ...features.map((each) => `--disable-${each}`), `--user-data-dir=${this.#folder}`, 'about:blank'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    this.#commands = this.#process.stdio[3] as Writable;
    const answers = this.#process.stdio[4] as Readable;
    this.#commands.on('error', () => {});
    this.#process.on('close', () => {
      for (const { reject } of this.#pending.values()) reject(new Error('Chromium ended'));
    });
    let text = '';
    answers.setEncoding('utf8').on('data', (piece: string) => {
      const messages = (text + piece).split('\0');
      text = messages.pop() ?? '';
      for (const message of messages) this.#receive(JSON.parse(message) as Message);
    });
  }

  static async start(): Promise<Chromium> {
    const browser = new Chromium();
    await browser.send('Target.setDiscoverTargets', { discover: false });
    return browser;
  }

  async newPage(): Promise<BrowserPage> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    return BrowserPage.attach(
      (method, params) => this.send(method, params, String(sessionId)),
      (listener) => this.#listeners.set(String(sessionId), listener),
    );
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'close');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), MAX_CLOSE_MS);
    // Killed at once, its other processes would still write into the folder.
    await this.send('Browser.close').catch(() => {});
    await ended;
    clearTimeout(timer);
    for (let tries = 0; ; tries++)
      try {
        return rmSync(this.#folder, { recursive: true, force: true });
      } catch (error) {
        if (tries === 50) throw error;
        await sleep(100);
      }
  }

  async send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: Chromium does not answer`)), COMMAND_TIMEOUT_MS);
      const settle = () => {
        clearTimeout(timer);
        this.#pending.delete(id);
      };
      this.#pending.set(id, {
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#commands.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
  }

  #receive({ id, sessionId = '', method, params = {}, result = {}, error }: Message): void {
    if (method !== undefined) this.#listeners.get(sessionId)?.(method, params);
    if (id === undefined) return;
    if (error === undefined) this.#pending.get(id)?.resolve(result);
    else this.#pending.get(id)?.reject(new Error(error.message));
  }
}
