/**
 * Part of `npm run picture`: photographs the pages of the demo in Chromium, light and dark, once they have some minutes
 * to show. What they show is counted from the demo's recording.
 *
 *   node build/docs/tools/picture/page.js [SECONDS]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDemo } from '../../../test/support/agent/start-demo.js';
import { Chromium } from '../../../test/support/browser/chromium.js';
import { ROOT } from '../../../test/support/paths.js';

/** Ten rounds of the recording. */
const SECONDS = Number(process.argv[2] ?? 220);

const PICTURES = [
  { name: 'page-vms', path: '/', height: 620, isReady: `document.querySelectorAll('.trend svg path').length >= 4` },
  {
    name: 'page-vm',
    path: '/vm?name=legacy-db',
    height: 935,
    isReady: `document.querySelectorAll('figure:not([hidden]) canvas').length >= 7`,
  },
] as const;

const demo = await startDemo();
const browser = await Chromium.start();
try {
  console.log(`the demo runs for ${SECONDS} s`);
  await sleep(SECONDS * 1000);
  const page = await browser.newPage();
  for (const { name, path, height, isReady } of PICTURES)
    for (const mode of ['light', 'dark']) {
      await page.show({ width: 1280, height, dark: mode === 'dark' });
      await page.open(`http://${demo.address}${path}`);
      await page.until(isReady);
      if (path === '/') await page.value(`document.querySelector('#advice details').open = true`);
      const file = join(ROOT, `docs/${name}-${mode}.png`);
      const png = await page.png();
      writeFileSync(file, png);
      console.log(`wrote ${file}, ${Math.round(png.length / 1024)} KiB`);
    }
} finally {
  await browser.close();
  await demo.stop();
}
