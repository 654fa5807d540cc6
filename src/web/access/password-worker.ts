/** The thread that compares passwords with bcrypt hashes, which takes 60 ms of CPU or more ({@link BcryptThread}). */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

parentPort?.on('message', ([password, hash]: [string, string]) => {
  let isEqual = false;
  try {
    isEqual = compareSync(password, hash);
  } catch {
    // A password that cannot be hashed is a wrong one.
  }
  parentPort?.postMessage(isEqual);
});
