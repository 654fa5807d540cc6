/**
 * Options as YAML: the names of options, nested or with dots.
 *
 *   web.listen-address: ['127.0.0.1:10586', '[::1]:10586']
 *   collector:
 *     io: true
 *     io.addresses: 50
 *
 * Every scalar stays the text that it is in the file (YAML's failsafe schema): the option's type says what `10` or
 * `true` means.
 */
import type { Node } from 'yaml';
import { unknownName } from '../system/did-you-mean.js';
import { AgentError } from '../system/errors.js';
import { readText } from '../system/files.js';
import { parseYaml, yamlLibrary } from '../system/yaml.js';
import { ConfigLayer } from './config-layer.js';
import { OPTIONS, type Option } from './options.js';

const FLAGS: readonly string[] = OPTIONS.map(({ flag }) => flag);

export function readConfigFile(path: string): ConfigLayer {
  try {
    return parseConfigFile(path, readText(path));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const layer = new ConfigLayer();
    layer.problems.push(`--config.file: ${error.message}`);
    return layer;
  }
}

/** The options in `text`, the content of the file `path`. */
export function parseConfigFile(path: string, text: string): ConfigLayer {
  const layer = new ConfigLayer();
  try {
    new FileReader(path, layer).read(text);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    layer.problems.push(error.message);
  }
  return layer;
}

class FileReader {
  readonly #path: string;
  readonly #layer: ConfigLayer;
  readonly #yaml = yamlLibrary();
  readonly #lines = new this.#yaml.LineCounter();
  /** Flag -> the line that set it first. */
  readonly #seen = new Map<string, string>();

  constructor(path: string, layer: ConfigLayer) {
    this.#path = path;
    this.#layer = layer;
  }

  read(text: string): void {
    const document = parseYaml(this.#path, text, this.#lines);
    for (const { pos, message } of document.errors) this.#problem(this.#at(pos[0]), message);
    if (document.errors.length > 0 || document.contents === null) return;
    if (this.#yaml.isScalar(document.contents) && document.contents.value === '') return;
    this.#node('', document.contents);
  }

  /** @param prefix the names of the keys above this node, with dots between them */
  #node(prefix: string, node: Node | null): void {
    const where = this.#at(node?.range?.[0] ?? 0);
    if (this.#yaml.isAlias(node)) return this.#problem(where, 'aliases (*name) are not supported; repeat the lines');
    if (this.#yaml.isMap<Node, Node | null>(node)) {
      for (const { key, value } of node.items) {
        const name = this.#yaml.isScalar(key) ? String(key.value) : '?';
        this.#entry(prefix === '' ? name : `${prefix}.${name}`, value, this.#at(key.range?.[0] ?? 0));
      }
    } else this.#problem(where, 'expected "option: value" lines');
  }

  #entry(name: string, value: Node | null, where: string): void {
    if (this.#yaml.isMap(value)) {
      if (FLAGS.some((flag) => flag.startsWith(`${name}.`))) return this.#node(name, value);
      return FLAGS.includes(name) ? this.#problem(where, `${name}: expected a value`) : this.#unknown(name, where);
    }
    const option: Option | undefined = OPTIONS.find(({ flag }) => flag === name);
    if (option === undefined) return this.#unknown(name, where);
    if (name === 'config.file') return this.#problem(where, 'config.file cannot be set in the file itself');
    const before = this.#seen.get(name);
    if (before !== undefined) return this.#problem(where, `${name} is set twice; first at ${before}`);
    this.#seen.set(name, where);
    this.#values(option, value, `${where}: ${name}`);
  }

  #values(option: Option, value: Node | null, where: string): void {
    const items: readonly unknown[] = this.#yaml.isSeq(value) ? value.items : [value];
    if (this.#yaml.isSeq(value) && option.multiple !== true)
      this.#layer.problems.push(`${where}: expected one value, not a list`);
    else if (items.every((item) => item === null || this.#yaml.isScalar(item)))
      for (const item of items)
        this.#layer.add(option, this.#yaml.isScalar(item) ? String(item.value ?? '') : '', where);
    else this.#layer.problems.push(`${where}: expected plain values`);
  }

  #unknown(name: string, where: string): void {
    this.#problem(where, unknownName('option', name, FLAGS));
  }

  #problem(where: string, what: string): void {
    this.#layer.problems.push(`${where}: ${what.split('\n')[0]}`);
  }

  #at(offset: number): string {
    return `${this.#path}:${this.#lines.linePos(offset).line}`;
  }
}
