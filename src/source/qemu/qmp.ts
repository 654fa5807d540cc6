/**
 * QEMU's control socket, as far as it takes to switch trace events and to ask who is where. A JSON object a line, both
 * ways:
 *
 *   {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, ...}, "capabilities": ["oob"]}}
 *   > {"execute":"qmp_capabilities"}
 *   {"return": {}}
 *   > {"execute":"trace-event-get-state","arguments":{"name":"kvm_run_exit"}}
 *   {"return": [{"state": "disabled", "name": "kvm_run_exit", "vcpu": false}]}
 *   {"event": "STOP", ...}, {"error": {"class": "GenericError", "desc": "unknown event \"x\""}}
 *
 * Specified by docs/interop/qmp-spec and qapi/trace.json (2.1 and later). A socket serves one client at a time:
 * libvirt's own is taken.
 */
import { createConnection, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { AgentError, fileError } from '../../system/errors.js';

export interface TraceEventState {
  readonly name: string;
  /** `unavailable`: compiled out. */
  readonly state: 'unavailable' | 'disabled' | 'enabled';
}

const TIMEOUT_MS = 5000;
/** The states of all events of a QEMU are some 500 KB in one line. */
const MAX_ANSWER = 16 << 20;

/** Without a word: another client has it, or this QEMU ends. */
export class ConnectionClosed extends AgentError {}

export class Qmp {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #lines: Interface;
  readonly #timeoutMs: number;
  #received = 0;
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;
  /** Lines that came before anyone waited for them. */
  readonly #early: Answer[] = [];

  private constructor(path: string, timeoutMs: number) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#socket = createConnection(path);
    this.#socket.on('data', (data) => this.#limit(data.length));
    this.#socket.on('error', (error) => this.#fail(connectError(path, error)));
    this.#socket.on('close', () => this.#fail(new ConnectionClosed(`${path}: QEMU has closed the connection`)));
    this.#lines = createInterface({ input: this.#socket });
    this.#lines.on('line', (line) => this.#line(line));
    // Told by the socket already.
    this.#lines.on('error', () => {});
  }

  /** @throws AgentError that says what is wrong with the socket */
  static async connect(path: string, timeoutMs = TIMEOUT_MS): Promise<Qmp> {
    const qmp = new Qmp(path, timeoutMs);
    try {
      const greeting = await qmp.#answer(
        'no greeting; the socket may be in use by another client (libvirt holds its own: use virsh qemu-monitor-command)',
      );
      if (!('QMP' in greeting)) throw new AgentError(`${path}: not a QMP socket`);
      await qmp.#execute('qmp_capabilities');
      return qmp;
    } catch (error) {
      qmp.close();
      throw error;
    }
  }

  /**
   * States of the events whose names match, a pattern with `*` or a name.
   * @throws AgentError where a name is unknown
   */
  async states(name: string): Promise<TraceEventState[]> {
    const states = await this.#execute('trace-event-get-state', { name });
    if (!Array.isArray(states)) throw new AgentError(`${this.#path}: an answer that is no list of events`);
    return states.filter(isState);
  }

  async setState(name: string, enable: boolean): Promise<void> {
    await this.#execute('trace-event-set-state', { name, enable, 'ignore-unavailable': name.includes('*') });
  }

  /** Which VM this is. Without `-uuid` it is all zeros, without `-name` there is none. */
  async identity(): Promise<{ readonly uuid: string; readonly name: string }> {
    const uuid = await this.#execute('query-uuid');
    const name = await this.#execute('query-name');
    return { uuid: textOf(uuid, 'UUID'), name: textOf(name, 'name') };
  }

  /** What the human monitor answers: `info mtree -f`. */
  async monitor(commandLine: string): Promise<string> {
    const answer = await this.#execute('human-monitor-command', { 'command-line': commandLine });
    if (typeof answer !== 'string') throw new AgentError(`${this.#path}: an answer that is no text`);
    return answer;
  }

  close(): void {
    this.#settle = undefined;
    this.#lines.close();
    this.#socket.destroy();
  }

  async #execute(command: string, args?: object): Promise<unknown> {
    this.#received = 0;
    this.#socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }) })}\n`);
    const answer = await this.#answer(`no answer to ${command}`);
    if ('return' in answer) return answer.return;
    const { error } = answer;
    const words =
      typeof error === 'object' && error !== null && 'desc' in error ? String(error.desc) : 'no reason given';
    throw new AgentError(`${this.#path}: ${command}: ${words}`);
  }

  #answer(otherwise: string): Promise<Answer> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(new AgentError(`${this.#path}: ${otherwise} (within ${this.#timeoutMs / 1000} s)`)),
        this.#timeoutMs,
      );
      const done = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          this.#settle = undefined;
          settle(value);
        };
      };
      this.#settle = { resolve: done(resolve), reject: done(reject) };
    });
  }

  #line(line: string): void {
    let answer: unknown;
    try {
      answer = JSON.parse(line);
    } catch {
      answer = undefined;
    }
    if (typeof answer !== 'object' || answer === null) {
      this.#fail(new AgentError(`${this.#path}: not a QMP socket`));
      return;
    }
    if ('event' in answer) return; // what happens to the VM meanwhile
    if (this.#settle === undefined) this.#early.push(answer as Answer);
    else this.#settle.resolve(answer as Answer);
  }

  #limit(bytes: number): void {
    this.#received += bytes;
    if (this.#received > MAX_ANSWER) this.#fail(new AgentError(`${this.#path}: not a QMP socket`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle?.reject(error);
    this.#socket.destroy();
  }
}

type Answer = Readonly<Record<string, unknown>>;

function textOf(answer: unknown, key: string): string {
  const text = typeof answer === 'object' && answer !== null ? Reflect.get(answer, key) : undefined;
  return typeof text === 'string' ? text : '';
}

function isState(value: unknown): value is TraceEventState {
  return typeof value === 'object' && value !== null && 'name' in value && 'state' in value;
}

function connectError(path: string, error: Error): AgentError {
  const code = 'code' in error ? error.code : '';
  if (code === 'ECONNREFUSED')
    return new AgentError(`${path}: nobody listens there; has that QEMU ended?`, { cause: error });
  if (code === 'ENOTSOCK') return new AgentError(`${path}: not a socket`);
  return fileError(path, error);
}
