/** The process that attacks: `attacker.js NAME TARGET`. It ends with SIGTERM, or after ten minutes. */
import { ATTACKS } from './list.js';

const [name, target = '{}'] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const timer = setTimeout(() => stop.abort(), 600_000);
await ATTACKS.find((attack) => attack.name === name)?.attack(JSON.parse(target), stop.signal);
clearTimeout(timer);
process.exit();
