/** Starts and queries a real Prometheus that scrapes the agent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.js';
import { HANG_MS } from '../patience.js';

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Values of a range query; one value for an instant query. */
  readonly values: readonly number[];
  /** For each value, the index of its step in the range. A series may start late, end early, and have gaps. */
  readonly steps: readonly number[];
}

export interface PrometheusOptions {
  /** host:port of the agent */
  readonly target: string;
  /** Paths of rule files. */
  readonly rules: readonly string[];
  /** Interval of scrapes and of rule evaluations. */
  readonly interval?: string;
  readonly job?: string;
  /** More fields of the scrape configuration: scheme, passwords, certificates. */
  readonly scrape?: Readonly<Record<string, unknown>>;
  /** More jobs for the same target: name -> fields of the scrape configuration. */
  readonly moreJobs?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export class Prometheus {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #folder: string;
  #log = '';

  private constructor(url: string, process: ChildProcess, folder: string) {
    this.url = url;
    this.#process = process;
    this.#folder = folder;
    process.stderr?.on('data', (text) => {
      this.#log += text;
    });
  }

  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
    writeFileSync(join(folder, 'prometheus.yml'), config(options));
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const prometheus = new Prometheus(`http://${address}`, child, folder);
    await prometheus.#ready();
    return prometheus;
  }

  async #ready(): Promise<void> {
    for (const deadlineMs = performance.now() + HANG_MS; performance.now() < deadlineMs; ) {
      const ok = await fetch(`${this.url}/-/ready`).then(
        (response) => response.ok,
        () => false,
      );
      if (ok) return;
      assert.equal(this.#process.exitCode, null, this.#log);
      await sleep(100);
    }
    assert.fail(`prometheus is not ready after ${HANG_MS} ms:\n${this.#log}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Calls Prometheus' HTTP API and returns the `data` of the answer. */
  async api(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const body = (await response.json()) as { status: string; error?: string; data: unknown };
    assert.equal(body.status, 'success', `${path} ${JSON.stringify(parameters)}: ${body.error}`);
    return body.data;
  }

  async query(expr: string): Promise<Series[]> {
    const data = (await this.api('query', { query: expr })) as { result: Answer[] };
    return data.result.map(({ metric, value }) => ({
      metric,
      values: value === undefined ? [] : [Number(value[1])],
      steps: value === undefined ? [] : [0],
    }));
  }

  /** A range query over the last `seconds`, one value per `step` seconds. */
  async queryRange(expr: string, seconds: number, step: number): Promise<Series[]> {
    const now = Date.now() / 1000;
    const range = { start: String(now - seconds), end: String(now), step: String(step) };
    const data = (await this.api('query_range', { query: expr, ...range })) as { result: Answer[] };
    return data.result.map(({ metric, values = [] }) => ({
      metric,
      values: values.map(([, value]) => Number(value)),
      steps: values.map(([at]) => Math.round((at - (now - seconds)) / step)),
    }));
  }
}

/** One series of an answer of the API. */
interface Answer {
  readonly metric: Record<string, string>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

function config({
  target,
  rules,
  interval = '1s',
  job = 'kvm-exit-exporter',
  scrape,
  moreJobs,
}: PrometheusOptions): string {
  const jobs = Object.entries({ [job]: scrape ?? {}, ...moreJobs }).map(([job_name, more]) => ({
    job_name,
    static_configs: [{ targets: [target] }],
    ...more,
  }));
  // JSON is YAML.
  return JSON.stringify({
    global: { scrape_interval: interval, evaluation_interval: interval },
    rule_files: rules,
    scrape_configs: jobs,
  });
}
