import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

type Values = ReadonlyMap<string, number | boolean | readonly number[]>;

interface Part {
  readonly 'qom-path'?: string;
  readonly stats: readonly { readonly name: string; readonly value: number | boolean | readonly number[] }[];
}

/** A client of a real QEMU's QMP socket, written for tests: it trusts QEMU. */
export class QmpClient {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // The lines of a QEMU that has ended end, so that `execute` throws.
    socket.on('error', () => undefined);
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<QmpClient> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    const client = new QmpClient(socket);
    await client.#lines.next();
    await client.execute('qmp_capabilities');
    return client;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the type of an answer depends on the command
  async execute(command: string, args: object = {}): Promise<any> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    for (;;) {
      const { value } = await this.#lines.next();
      const answer = JSON.parse(value);
      if ('return' in answer) return answer.return;
      if ('error' in answer) throw new Error(`${command}: ${value}`);
    }
  }

  /** KVM's statistics: by number of the vCPU, and of the VM. */
  async statistics(): Promise<{ readonly vcpus: ReadonlyMap<string, Values>; readonly vm: Values }> {
    const cpus: { 'cpu-index': number; 'qom-path': string }[] = await this.execute('query-cpus-fast');
    const read = async (target: string): Promise<readonly Part[]> => this.execute('query-stats', { target });
    const vcpus = (await read('vcpu')).map((part) => {
      const cpu = cpus.find((each) => each['qom-path'] === part['qom-path']);
      return [String(cpu?.['cpu-index']), valuesOf(part)] as const;
    });
    const [vm] = await read('vm');
    return { vcpus: new Map(vcpus), vm: vm === undefined ? new Map() : valuesOf(vm) };
  }

  close(): void {
    this.#socket.destroy();
  }
}

function valuesOf({ stats }: Part): Values {
  return new Map(stats.map(({ name, value }) => [name, value]));
}
