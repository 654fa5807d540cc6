/** A page in a browser. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HANG_MS } from '../patience.js';
import type { Json } from './chromium.js';

type Send = (method: string, params?: Json) => Promise<Json>;

/** Keys as the DevTools protocol names them: key, code, virtual key code, text. */
const KEYS = {
  Tab: ['Tab', 'Tab', 9, ''],
  Enter: ['Enter', 'Enter', 13, '\r'],
  ArrowLeft: ['ArrowLeft', 'ArrowLeft', 37, ''],
} as const;

export class BrowserPage {
  readonly #send: Send;
  /** What the console and the log of the page show: errors, violations of the CSP, files that are missing. */
  readonly errors: string[] = [];
  /** URLs that were requested. */
  readonly requests: string[] = [];

  private constructor(send: Send) {
    this.#send = send;
  }

  static async attach(
    send: Send,
    listen: (listener: (method: string, params: Json) => void) => void,
  ): Promise<BrowserPage> {
    const page = new BrowserPage(send);
    listen((method, params) => page.#note(method, params));
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
    return page;
  }

  async show({ width, height = 800, dark = false }: { width: number; height?: number; dark?: boolean }): Promise<void> {
    await this.#send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    const features = [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }];
    await this.#send('Emulation.setEmulatedMedia', { features });
  }

  async disableScripts(): Promise<void> {
    await this.#send('Emulation.setScriptExecutionDisabled', { value: true });
  }

  /** Loads a page, and waits until its scripts ran. */
  async open(url: string): Promise<void> {
    const { errorText } = await this.#send('Page.navigate', { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    await this.until('document.readyState === "complete"');
  }

  /** Value of an expression of JavaScript. */
  async value<T>(expression: string): Promise<T> {
    const answer = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = answer as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined)
      throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  async until(condition: string, withinMs = HANG_MS): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!(await this.value<boolean>(`Boolean(${condition})`).catch(() => false))) {
      if (Date.now() > deadline) throw new Error(`this does not become true: ${condition}`);
      await sleep(50);
    }
  }

  async press(name: keyof typeof KEYS): Promise<void> {
    const [key, code, windowsVirtualKeyCode, text] = KEYS[name];
    const event = { key, code, windowsVirtualKeyCode };
    await this.#send('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...(text !== '' && { text }) });
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  async type(text: string): Promise<void> {
    await this.#send('Input.insertText', { text });
  }

  async png(): Promise<Buffer> {
    const { data } = await this.#send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(String(data), 'base64');
  }

  #note(method: string, params: Json): void {
    if (method === 'Runtime.exceptionThrown') this.errors.push(JSON.stringify(params.exceptionDetails));
    else if (method === 'Log.entryAdded') this.errors.push(JSON.stringify(params.entry));
    else if (method === 'Runtime.consoleAPICalled') this.errors.push(JSON.stringify(params.args));
    else if (method === 'Network.requestWillBeSent')
      this.requests.push(String((params.request as { url?: unknown }).url));
  }
}
