import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerProgram } from '../../system/program/program-files.js';

/** Its heap takes 5 MB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

/**
 * Compares passwords in a thread of its own, so that guesses keep the main thread from nothing. The thread starts with
 * the first comparison, and again if it has failed.
 */
export class BcryptThread {
  #worker: Worker | undefined;

  /** Call it for one password at a time. Rejects if the thread has failed. */
  async compare(password: string, hash: string): Promise<boolean> {
    this.#worker ??= this.#start();
    this.#worker.postMessage([password, hash]);
    const [isEqual]: unknown[] = await once(this.#worker, 'message');
    return isEqual === true;
  }

  #start(): Worker {
    const [program, options] = workerProgram('build/src/web/access/password-worker.js');
    const worker = new Worker(program, { ...options, resourceLimits: RESOURCE_LIMITS });
    worker.on('error', () => {});
    worker.once('exit', () => {
      worker.emit('error', new Error('the thread that checks passwords has ended'));
      this.#worker = undefined;
    });
    // The thread does not keep the program running.
    worker.unref();
    return worker;
  }
}
