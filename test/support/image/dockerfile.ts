/** Parses the Dockerfile into stages and instructions, with build arguments filled in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser, type Instruction as Parsed } from 'dockerfile-ast';
import { ROOT } from '../paths.js';

export interface Instruction {
  readonly keyword: string;
  /** `--from=build` becomes from -> build. */
  readonly flags: ReadonlyMap<string, string>;
  /** Words after the flags. */
  readonly words: readonly string[];
  /** Text after the flags, with continued lines joined. */
  readonly text: string;
  /** Line number, starting at 1. */
  readonly line: number;
}

export interface Stage {
  /** The image, or the earlier stage, that the stage starts from. */
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
  readonly stopSignal: string;
  readonly ports: readonly string[];
}

export const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

interface WithFlags {
  getFlags(): readonly { getName(): string; getValue(): string | null }[];
}

export function instructionsOf(text: string): Instruction[] {
  const dockerfile = DockerfileParser.parse(text);
  const build = new Map<string, string>();
  return dockerfile.getInstructions().map((parsed) => {
    const line = parsed.getRange().start.line;
    const raw = parsed.getArgumentsContent() ?? '';
    // Defaults of ARG stand at the head of the file; `ARG NAME` in a stage repeats them.
    const filled = raw.replaceAll(/\$\{(\w+)\}/g, (all, name: string) => build.get(name) ?? all);
    if (parsed.getKeyword() === 'ARG' && raw.includes('='))
      build.set(raw.slice(0, raw.indexOf('=')), raw.slice(raw.indexOf('=') + 1));
    return {
      keyword: parsed.getKeyword(),
      flags: flagsOf(parsed),
      words: filled.split(/\s+/),
      text: filled,
      line: line + 1,
    };
  });
}

function flagsOf(parsed: Parsed): Map<string, string> {
  if (!('getFlags' in parsed)) return new Map();
  return new Map((parsed as unknown as WithFlags).getFlags().map((flag) => [flag.getName(), flag.getValue() ?? '']));
}

export function stagesOf(text: string): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of instructionsOf(text)) {
    const [base = '', , name] = instruction.words;
    if (instruction.keyword === 'FROM') stages.push({ base, name, instructions: [] });
    else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

/** The configuration of the image that the last stage makes. */
export function configOf(text: string): ImageConfig {
  const { instructions = [] } = stagesOf(text).at(-1) ?? {};
  const all = (keyword: string) => instructions.filter((instruction) => instruction.keyword === keyword);
  const last = (keyword: string) => all(keyword).at(-1)?.text ?? '';
  const pairs = (keyword: string) =>
    Object.fromEntries(
      all(keyword).flatMap(({ text: given }) =>
        [...given.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]),
      ),
    );
  return {
    entrypoint: JSON.parse(last('ENTRYPOINT')),
    command: JSON.parse(last('CMD')),
    healthcheck: JSON.parse(last('HEALTHCHECK').replace(/^CMD /, '')),
    environment: pairs('ENV'),
    labels: pairs('LABEL'),
    user: last('USER'),
    stopSignal: last('STOPSIGNAL'),
    ports: all('EXPOSE').flatMap(({ words }) => words),
  };
}
