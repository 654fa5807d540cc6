/** Builds programs with Go, from the Go module proxy alone, for test/support/cluster and test/support/peers. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const EX_TEMPFAIL = 75;
/** As timeout(1). */
const EX_TIMEOUT = 124;
/** All modules and generated files of this build. */
export const BUILD_FOLDER = mkdtempSync(join(tmpdir(), 'go-build-'));
process.on('exit', () => rmSync(BUILD_FOLDER, { recursive: true, force: true }));
process.on('SIGTERM', () => process.exit(EX_TIMEOUT));

/** Go or its module proxy is not there: no failure of the build. */
class Unavailable extends Error {}

export async function go(folder: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: `-buildvcs=false ${process.env.GOFLAGS ?? ''}` };
  const { stdout } = await promisify(execFile)('go', args, { cwd: folder, env, maxBuffer: 1 << 26 });
  return stdout;
}

/** Folder of an empty module. */
export function newModule(name: string, lines: readonly string[] = []): string {
  const folder = join(BUILD_FOLDER, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'go.mod'), ['module build', ...lines, ''].join('\n'));
  return folder;
}

/**
 * The program appears in the cache at once or not at all.
 * @param linkerFlags besides those that leave out symbols
 */
export async function compile(
  folder: string,
  target: string,
  packageName: string,
  { linkerFlags = '', tags = '' } = {},
): Promise<void> {
  const started = performance.now();
  const flags = ['-trimpath', `-tags=${tags}`, `-ldflags=-s -w ${linkerFlags}`];
  await go(folder, 'build', ...flags, '-o', `${target}.part`, packageName);
  renameSync(`${target}.part`, target);
  console.log(`${target}: built in ${Math.round((performance.now() - started) / 1000)} s`);
}

/**
 * Folder of a module's source.
 * @param lines of the go.mod that shows whether this Go is new enough
 * @throws Unavailable if Go, the version that the module needs, or the proxy is missing
 */
export async function download(module: string, linesOf: (source: string) => readonly string[]): Promise<string> {
  if (spawnSync('go', ['version']).status !== 0) throw new Unavailable('Go is not installed');
  try {
    const source: string = JSON.parse(await go(BUILD_FOLDER, 'mod', 'download', '-json', module)).Dir;
    // An older Go downloads the version that this module asks for, unless GOTOOLCHAIN forbids it.
    await go(newModule('probe', linesOf(source)), 'list', '-m');
    return source;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Unavailable(`Go cannot get ${module} from its module proxy, or is too old: ${stdout}${stderr}`);
  }
}

/** Runs a build. The exit code is 75 if Go or its module proxy is missing here. */
export async function runBuild(build: () => Promise<void>): Promise<void> {
  try {
    await build();
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    console.error(`${error instanceof Error ? error.message : error}\n${stderr.slice(-4000)}`);
    process.exitCode = error instanceof Unavailable ? EX_TEMPFAIL : 1;
  }
}
