/**
 * QEMU's control socket (QMP): the commands that switch trace events, identify the VM and list its devices' addresses.
 * One JSON object per line, in both directions:
 *
 *   {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, ...}, "capabilities": ["oob"]}}
 *   > {"execute":"qmp_capabilities"}
 *   {"return": {}}
 *   > {"execute":"trace-event-get-state","arguments":{"name":"kvm_run_exit"}}
 *   {"return": [{"state": "disabled", "name": "kvm_run_exit", "vcpu": false}]}
 *   {"event": "STOP", ...}, {"error": {"class": "GenericError", "desc": "unknown event \"x\""}}
 *
 * Specified by docs/interop/qmp-spec and qapi/trace.json (2.1 and later). A socket serves one client at a time, and
 * libvirt keeps its own socket busy.
 */
import { createConnection, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { AgentError, errnoOf, fileError } from '../../system/errors.js';
import { hasTooManyValues } from '../../system/json-size.js';

export interface TraceEventState {
  readonly name: string;
  /** `unavailable`: the event is compiled out. */
  readonly state: 'unavailable' | 'disabled' | 'enabled';
}

const ANSWER_TIMEOUT_MS = 5000;
/** Bytes. The states of all events of a QEMU are one line of about 500 KB. */
const MAX_ANSWER = 8 << 20;
/** Answers that may arrive before they are awaited. */
const MAX_EARLY = 16;
/** Characters of QEMU's reason that a message repeats. */
const MAX_REASON = 300;

/** QEMU closed the connection without an answer: another client uses the socket, or QEMU is ending. */
export class ConnectionClosed extends AgentError {}

export class Qmp {
  readonly path: string;
  readonly #socket: Socket;
  readonly #lines: Interface;
  readonly #timeoutMs: number;
  #received = 0;
  /** The answer that is awaited. */
  #pending: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;
  /** Answers that arrived before they were awaited. */
  readonly #early: Answer[] = [];

  private constructor(path: string, timeoutMs: number) {
    this.path = path;
    this.#timeoutMs = timeoutMs;
    this.#socket = createConnection(path);
    this.#socket.on('data', (data) => this.#limitAnswer(data.length));
    this.#socket.on('error', (error) => this.#fail(connectError(path, error)));
    this.#socket.on('close', () => this.#fail(new ConnectionClosed(`${path}: QEMU closed the connection`)));
    this.#lines = createInterface({ input: this.#socket });
    this.#lines.on('line', (line) => this.#line(line));
    // Without this listener the error would be thrown; the socket reports it too.
    this.#lines.on('error', () => {});
  }

  /** @throws AgentError if the socket cannot be used */
  static async connect(path: string, timeoutMs = ANSWER_TIMEOUT_MS): Promise<Qmp> {
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

  /** States of the events that match a name or a pattern with `*`. @throws AgentError if a name is unknown */
  async states(name: string): Promise<TraceEventState[]> {
    const states = await this.#execute('trace-event-get-state', { name });
    if (!Array.isArray(states)) throw new AgentError(`${this.path}: QEMU's answer is not a list of events`);
    return states.filter(isState);
  }

  async setState(name: string, enable: boolean): Promise<void> {
    await this.#execute('trace-event-set-state', { name, enable, 'ignore-unavailable': name.includes('*') });
  }

  /** UUID and name of the VM: all zeros without `-uuid`, '' without `-name`. */
  async identity(): Promise<{ readonly uuid: string; readonly name: string }> {
    const uuid = await this.#execute('query-uuid');
    const name = await this.#execute('query-name');
    return { uuid: textOf(uuid, 'UUID'), name: textOf(name, 'name') };
  }

  /** Answer of the human monitor to a command such as `info mtree -f`. */
  async monitor(commandLine: string): Promise<string> {
    const answer = await this.#execute('human-monitor-command', { 'command-line': commandLine });
    if (typeof answer !== 'string') throw new AgentError(`${this.path}: QEMU's answer is not text`);
    return answer;
  }

  /** The answer to a command that changes nothing. @throws AgentError if QEMU refuses the command */
  query(command: `query-${string}`, args?: object): Promise<unknown> {
    return this.#execute(command, args);
  }

  close(): void {
    this.#pending = undefined;
    this.#lines.close();
    this.#socket.destroy();
  }

  async #execute(command: string, args?: object): Promise<unknown> {
    this.#received = 0;
    this.#socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }) })}\n`);
    const answer = await this.#answer(`no answer to ${command}`);
    if ('return' in answer) return answer.return;
    const { error } = answer;
    const reason =
      typeof error === 'object' && error !== null && 'desc' in error
        ? String(error.desc).slice(0, MAX_REASON)
        : 'no reason given';
    throw new AgentError(`${this.path}: ${command}: ${reason}`);
  }

  #answer(timeoutMessage: string): Promise<Answer> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(new AgentError(`${this.path}: ${timeoutMessage} (within ${this.#timeoutMs / 1000} s)`)),
        this.#timeoutMs,
      );
      const done = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          this.#pending = undefined;
          settle(value);
        };
      };
      this.#pending = { resolve: done(resolve), reject: done(reject) };
    });
  }

  #line(line: string): void {
    if (hasTooManyValues(line)) return this.#fail(new AgentError(`${this.path}: the answer has too many values`));
    let answer: unknown;
    try {
      answer = JSON.parse(line);
    } catch {
      answer = undefined;
    }
    if (typeof answer !== 'object' || answer === null) {
      this.#fail(new AgentError(`${this.path}: not a QMP socket`));
      return;
    }
    if ('event' in answer) return; // QEMU reports a change of the VM's state
    if (this.#pending === undefined && this.#early.length >= MAX_EARLY)
      this.#fail(new AgentError(`${this.path}: answers what it was not asked`));
    else if (this.#pending === undefined) this.#early.push(answer as Answer);
    else this.#pending.resolve(answer as Answer);
  }

  #limitAnswer(bytes: number): void {
    this.#received += bytes;
    if (this.#received > MAX_ANSWER) this.#fail(new AgentError(`${this.path}: not a QMP socket`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#pending?.reject(error);
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
  const code = errnoOf(error);
  if (code === 'ECONNREFUSED')
    return new AgentError(`${path}: no QEMU listens there; it has probably ended`, { cause: error });
  if (code === 'ENOTSOCK') return new AgentError(`${path}: not a socket`);
  return fileError(path, error);
}
