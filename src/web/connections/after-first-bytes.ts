import type { Socket } from 'node:net';
import { isHealthCheck } from './health-check.js';
import type { TurnQueue } from './turn-queue.js';

const FIRST_BYTES_MS = 10_000;

/**
 * Calls `start` in a turn of its own once the client has sent something. A TLS handshake takes a millisecond or two, as
 * soon as the client's first message is there, and hundreds of clients can send theirs at the same moment.
 */
export function afterFirstBytes(socket: Socket, turns: TurnQueue, onBytes: () => void, start: () => void): void {
  const turn = {
    takeTurn() {
      if (socket.readableLength === 0 || socket.destroyed) return void socket.destroy();
      socket.removeAllListeners('timeout').setTimeout(0);
      start();
    },
  };
  socket.setTimeout(FIRST_BYTES_MS, () => socket.destroy());
  socket.once('readable', () => {
    onBytes();
    const bytes: Buffer | null = socket.read();
    if (bytes !== null) socket.unshift(bytes);
    turns.add(turn, bytes !== null && isHealthCheck(bytes) ? 'urgent' : 'first');
  });
  socket.once('close', () => turns.delete(turn));
}
