import { AgentError } from '../../system/errors.js';
import { Qmp } from './qmp.js';

/** Path of a socket -> the end of the latest question over it. */
const turns = new Map<string, Promise<void>>();

/** Longest time of one answer, and of a whole question. */
const ANSWER_MS = 3000;
const QUESTION_MS = 6000;

/**
 * Connects to a QMP socket, asks, and closes the connection. A socket serves one client at a time, so questions over
 * one socket take turns.
 * @throws AgentError if there is no answer, or not in time
 */
export async function askQmp<T>(path: string, question: (qmp: Qmp) => Promise<T>): Promise<T> {
  const before = turns.get(path);
  const turn = askInTurn(path, before, question);
  const ended = turn.then(
    () => {},
    () => {},
  );
  turns.set(path, ended);
  void ended.then(() => {
    if (turns.get(path) === ended) turns.delete(path);
  });
  return turn;
}

async function askInTurn<T>(
  path: string,
  before: Promise<void> | undefined,
  question: (qmp: Qmp) => Promise<T>,
): Promise<T> {
  await before;
  const qmp = await Qmp.connect(path, ANSWER_MS);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      question(qmp),
      new Promise<never>((_, reject) => {
        const late = new AgentError(`${path}: answers too slowly (not within ${QUESTION_MS / 1000} s)`);
        timer = setTimeout(() => reject(late), QUESTION_MS);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    qmp.close();
  }
}
