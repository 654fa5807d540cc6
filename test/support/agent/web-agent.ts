/** The program with its web server on a free port, and requests that return the error below HTTP, if there is one. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request as plainRequest } from 'node:http';
import { type RequestOptions, request as secureRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { PROGRAM, PROGRAM_ARGS } from '../paths.js';
import { HANG_MS } from '../patience.js';

export class WebAgent {
  readonly process: ChildProcess;
  #log = '';

  private constructor(command: string, args: readonly string[], environment: Readonly<Record<string, string>>) {
    this.process = spawn(PROGRAM, [...PROGRAM_ARGS, command, '--web.listen-address=127.0.0.1:0', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.process.stderr?.on('data', (text) => {
      this.#log += text;
    });
    const ended = once(this.process, 'close');
    endLater(async () => {
      this.process.kill('SIGKILL');
      await ended;
    });
  }

  /** Runs the command `demo`. */
  static async start(...args: string[]): Promise<WebAgent> {
    return WebAgent.startCommand('demo', args);
  }

  static async startCommand(
    command: 'demo' | 'run',
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<WebAgent> {
    const agent = new WebAgent(command, args, environment);
    await agent.until(args.includes('--log.format=json') ? '"msg":"serving"' : 'msg=serving');
    return agent;
  }

  get log(): string {
    return this.#log;
  }

  /** Scheme, host and port of the web server. */
  get url(): string {
    return /serving"?[ ,]"?url(?:=|":")(https?:\/\/[^/\s]+)\//.exec(this.#log)?.[1] ?? '';
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Waits until the log contains these words. */
  async until(words: string, withinMs = HANG_MS): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!this.#log.includes(words)) {
      assert.equal(this.process.exitCode, null, this.#log);
      assert.ok(Date.now() < deadline, `the log does not contain ${words}:\n${this.#log}`);
      await sleep(20);
    }
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Sends a request on a new connection. Resolves to the error's code if there is no answer. */
export async function ask(url: string, options: RequestOptions = {}): Promise<Answer | string> {
  return new Promise((resolve) => {
    const send = url.startsWith('https:') ? secureRequest : plainRequest;
    const request = send(url, { agent: false, ...options }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) }),
      );
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    request.end();
  });
}

/** Status of the answer, or the error's code. */
export async function statusOf(url: string, options: RequestOptions = {}): Promise<number | string> {
  const answer = await ask(url, options);
  return typeof answer === 'string' ? answer : answer.status;
}
