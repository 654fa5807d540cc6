/**
 * Options as YAML: by name, nested or with dots.
 *
 *   web.listen-address: ['127.0.0.1:10586', '[::1]:10586']
 *   collector:
 *     io: true
 *     io.addresses: 50
 *
 * Every scalar is taken as it is written (YAML's failsafe schema): what `10` or `yes` means is the option's affair.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { unknown } from '../system/did-you-mean.js';
import { AgentError } from '../system/errors.js';
import { readText } from '../system/files.js';
import { Given } from './config-layer.js';
import { OPTIONS, type Option } from './options.js';

/** More than anybody writes by hand. */
const LONGEST = 1 << 20;
const FLAGS: readonly string[] = OPTIONS.map(({ flag }) => flag);

export function fromFile(path: string): Given {
  try {
    return fromText(path, readText(path));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const given = new Given();
    given.problems.push(`--config.file: ${error.message}`);
    return given;
  }
}

/** The content of the file `path`. */
export function fromText(path: string, text: string): Given {
  const given = new Given();
  if (text.length > LONGEST) given.problems.push(`${path}: larger than ${LONGEST} bytes; is it the right file?`);
  else new FileReader(path, given).read(text);
  return given;
}

class FileReader {
  readonly #path: string;
  readonly #given: Given;
  readonly #lines = new LineCounter();
  /** Flag -> where it was first given. */
  readonly #seen = new Map<string, string>();

  constructor(path: string, given: Given) {
    this.#path = path;
    this.#given = given;
  }

  read(text: string): void {
    const document = parseDocument(text, { schema: 'failsafe', lineCounter: this.#lines, prettyErrors: false });
    for (const { pos, message } of document.errors) this.#problem(this.#at(pos[0]), message);
    if (document.errors.length > 0 || document.contents === null) return;
    if (isScalar(document.contents) && document.contents.value === '') return;
    this.#node('', document.contents);
  }

  #node(prefix: string, node: Node | null): void {
    const where = this.#at(node?.range?.[0] ?? 0);
    if (isAlias(node)) return this.#problem(where, 'aliases (*name) are not understood here');
    if (isMap<Node, Node | null>(node)) {
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : '?';
        this.#entry(prefix === '' ? name : `${prefix}.${name}`, value, this.#at(key.range?.[0] ?? 0));
      }
    } else this.#problem(where, 'expected "option: value" lines');
  }

  #entry(name: string, value: Node | null, where: string): void {
    if (isMap(value)) {
      if (FLAGS.some((flag) => flag.startsWith(`${name}.`))) return this.#node(name, value);
      return FLAGS.includes(name) ? this.#problem(where, `${name}: expected a value`) : this.#unknown(name, where);
    }
    const option: Option | undefined = OPTIONS.find(({ flag }) => flag === name);
    if (option === undefined) return this.#unknown(name, where);
    if (name === 'config.file') return this.#problem(where, 'config.file cannot stand in the file itself');
    const before = this.#seen.get(name);
    if (before !== undefined) return this.#problem(where, `${name} a second time; first at ${before}`);
    this.#seen.set(name, where);
    this.#values(option, value, `${where}: ${name}`);
  }

  #values(option: Option, value: Node | null, where: string): void {
    const items: readonly unknown[] = isSeq(value) ? value.items : [value];
    if (isSeq(value) && option.multiple !== true) this.#given.problems.push(`${where}: expected one value, not a list`);
    else if (items.every((item) => item === null || isScalar(item)))
      for (const item of items) this.#given.add(option, isScalar(item) ? String(item.value ?? '') : '', where);
    else this.#given.problems.push(`${where}: expected plain values`);
  }

  #unknown(name: string, where: string): void {
    this.#problem(where, unknown('option', name, FLAGS));
  }

  #problem(where: string, what: string): void {
    this.#given.problems.push(`${where}: ${what.split('\n')[0]}`);
  }

  #at(offset: number): string {
    return `${this.#path}:${this.#lines.linePos(offset).line}`;
  }
}
