/** A Prometheus 3 with a folder of its own, and what it says about itself. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { ROOT } from '../../support/paths.js';
import { startPeer } from '../../support/peers/peer-process.js';
import { Samples } from '../../support/prometheus/samples.js';
import type { Labels } from './host-tables.js';

export const RULES = ['rules.yml', 'alerts.yml'].map((file) => join(ROOT, 'deploy/prometheus', file));

export interface RuleGroup {
  readonly name: string;
  readonly interval: number;
  /** Seconds of the latest evaluation. */
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
  readonly rules: readonly { readonly name: string; readonly evaluationTime: number; readonly health: string }[];
}

export interface Blocks {
  readonly samples: number;
  readonly bytes: number;
}

// JSON is YAML.
const configIn = (folder: string) => join(folder, 'prometheus.yml');
const dataIn = (folder: string) => join(folder, 'data');

export class StoringPrometheus {
  readonly url: string;
  readonly #folder: string;

  private constructor(url: string, folder: string) {
    this.url = url;
    this.#folder = folder;
  }

  /** It ends with `endAll`. */
  static async start(folder: string, config: unknown = {}): Promise<StoringPrometheus> {
    mkdirSync(folder);
    writeFileSync(configIn(folder), JSON.stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    const url = `http://${address}`;
    await startPeer(
      'prometheus',
      [
        `--config.file=${configIn(folder)}`,
        `--storage.tsdb.path=${dataIn(folder)}`,
        `--web.listen-address=${address}`,
        '--web.enable-lifecycle',
        '--web.enable-remote-write-receiver',
      ],
      `${url}/-/ready`,
    );
    return new StoringPrometheus(url, folder);
  }

  /** Has it use another configuration. */
  async configure(config: unknown): Promise<void> {
    writeFileSync(configIn(this.#folder), JSON.stringify(config));
    const response = await fetch(`${this.url}/-/reload`, { method: 'POST' });
    if (!response.ok) throw new Error(`reload: ${await response.text()}`);
  }

  /** An instant query. */
  async query(query: string): Promise<{ readonly labels: Labels; readonly value: number }[]> {
    const { result } = (await this.#api(`query?${new URLSearchParams({ query })}`)) as {
      result: readonly { metric: Labels; value: readonly [number, string] }[];
    };
    return result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
  }

  /** The value of a query with one result; 0 without a result. */
  async number(query: string): Promise<number> {
    return (await this.query(query))[0]?.value ?? 0;
  }

  async ruleGroups(): Promise<readonly RuleGroup[]> {
    return ((await this.#api('rules')) as { groups: RuleGroup[] }).groups;
  }

  /** The rules that took longest when they were evaluated last. */
  async slowRules(): Promise<{ readonly name: string; readonly seconds: number }[]> {
    const rules = (await this.ruleGroups()).flatMap((group) => group.rules);
    const times = rules.map(({ name, evaluationTime }) => ({ name, seconds: evaluationTime }));
    return times.sort((a, b) => b.seconds - a.seconds).slice(0, 8);
  }

  async #api(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`);
    return body.data;
  }

  /** Its own metrics. */
  async metrics(): Promise<Samples> {
    return new Samples(await (await fetch(`${this.url}/metrics`)).text());
  }

  /** Samples and bytes of the blocks on disk, indices included. */
  blocks(): Blocks {
    const data = dataIn(this.#folder);
    const blocks = readdirSync(data).filter((name) => /^[0-9A-Z]{26}$/.test(name));
    const sizes = blocks.map((name) => {
      const folder = join(data, name);
      const { stats } = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8'));
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) =>
        statSync(join(folder, file)),
      );
      const bytes = files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
      return { samples: Number(stats.numSamples), bytes };
    });
    return {
      samples: sizes.reduce((sum, { samples }) => sum + samples, 0),
      bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }
}
