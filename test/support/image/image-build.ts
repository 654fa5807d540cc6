/**
 * Builds the file tree of the image without a container engine: each stage in a folder of its own, and RUN lines by the
 * shell in its working directory. Programs of the base images (Node.js, npm, find) are those of this machine.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import dockerignore from '@balena/dockerignore';
import { ROOT } from '../paths.js';
import { type Instruction, type Stage, stagesOf } from './dockerfile.js';

/** Paths of all files below `folder`, relative to it. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** True if .dockerignore excludes the path, which is relative to the repository. */
export function isIgnored(path: string): boolean {
  return IGNORE.ignores(path);
}

const IGNORE = dockerignore.default().add(readFileSync(join(ROOT, '.dockerignore'), 'utf8'));

/** The build context: the files of this checkout that .dockerignore does not exclude. */
export function contextFiles(): string[] {
  return filesOf(ROOT).filter((path) => !isIgnored(path));
}

export class ImageBuild {
  /** File tree of the last stage. */
  readonly tree: string;
  readonly #context: string;
  readonly #roots = new Map<string, string>();
  readonly #environment: NodeJS.ProcessEnv;

  /** @throws if a RUN line fails, with its output */
  constructor(folder: string, dockerfile: string, environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
    this.#context = mkdtempSync(join(folder, 'context-'));
    for (const path of contextFiles()) cpSync(join(ROOT, path), join(this.#context, path));
    let tree = '';
    for (const [index, stage] of stagesOf(dockerfile).entries()) {
      tree = mkdtempSync(join(folder, `stage-${index}-`));
      this.#roots.set(stage.name ?? String(index), tree);
      this.#run(stage, tree);
    }
    this.tree = tree;
  }

  #run({ instructions }: Stage, root: string): void {
    let directory = root;
    for (const instruction of instructions) {
      if (instruction.keyword === 'WORKDIR') {
        directory = join(root, instruction.text);
        mkdirSync(directory, { recursive: true });
      } else if (instruction.keyword === 'COPY') this.#copy(instruction, root, directory);
      else if (instruction.keyword === 'RUN')
        execFileSync('/bin/sh', ['-c', instruction.text], { cwd: directory, env: this.#environment, stdio: 'pipe' });
    }
  }

  /** Copies the content of a folder, or a file. The file keeps its name if the destination ends with a slash. */
  #copy({ flags, words }: Instruction, root: string, directory: string): void {
    const from = this.#roots.get(flags.get('from') ?? '') ?? this.#context;
    const given = words.at(-1) ?? '';
    const target = given.startsWith('/') ? join(root, given) : join(directory, given);
    for (const source of words.slice(0, -1).map((word) => join(from, word))) {
      const into = statSync(source).isFile() && given.endsWith('/') ? join(target, basename(source)) : target;
      mkdirSync(dirname(into), { recursive: true });
      cpSync(source, into, { recursive: true, verbatimSymlinks: true });
    }
  }
}
