import * as proc from './proc.js';

/** Lists that are returned again, one after the other, before the folder is read in any case. */
const MAX_REUSES = 4;

/**
 * Lists the processes of a host (HOST). To list the folder, the kernel looks up each process. While it has given out no
 * new id, no process and no thread was started, and the list of before is returned; some of its processes may have
 * ended since.
 */
export class ProcessList {
  readonly #root: string;
  readonly #latestIdReader: proc.LatestId;
  /** True if the latest id is one of the processes in the folder; undefined before the first list. */
  #knowsStarts: boolean | undefined;
  #pids: number[] | undefined;
  /** The latest id before {@link #pids} were listed; undefined if it is not known. */
  #listedAtId: number | undefined;
  #reuses = 0;

  constructor(root: string) {
    this.#root = root;
    this.#latestIdReader = new proc.LatestId(root);
  }

  /** Undefined if the folder cannot be read. */
  read(): readonly number[] | undefined {
    this.#knowsStarts ??= proc.sharesPidNamespace(this.#root);
    // First, so that a process that is started meanwhile changes it again.
    const latestId = this.#knowsStarts ? this.#latestIdReader.read() : undefined;
    if (latestId !== undefined && latestId === this.#listedAtId && this.#reuses < MAX_REUSES) {
      this.#reuses++;
      return this.#pids;
    }
    this.#reuses = 0;
    this.#pids = proc.processIds(this.#root);
    this.#listedAtId = this.#pids === undefined ? undefined : latestId;
    return this.#pids;
  }
}
