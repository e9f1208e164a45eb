// An answer as it came: one line from asking to the end, a tick for each arrival. The wait for the first token, a stall, an even pace can be seen.
import { svgElement } from './dom.js';

const Width = 1000;
const Height = 20;

export function pulse() {
  const svg = svgElement('svg', { class: 'pulse', viewBox: `0 0 ${Width} ${Height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const wait = svgElement('path', { class: 'wait' });
  const ticks = svgElement('path', { class: 'ticks' });
  svg.append(wait, ticks);
  return {
    node: svg,
    /** @param {{first: number, last: number, ticks: number[]}} times In ms since the request. */
    draw(times) {
      const end = Math.max(times.last, 1);
      const x = t => (t / end * (Width - 4) + 2).toFixed(1);
      wait.setAttribute('d', `M2 ${Height / 2}H${x(times.first || end)}`);
      let d = '';
      let before = -1;
      for (const t of times.ticks) {
        // Ticks closer than can be seen are one.
        const column = Math.round(t / end * 400);
        if (column === before) continue;
        before = column;
        d += `M${x(t)} 3V${Height - 3}`;
      }
      ticks.setAttribute('d', d);
    },
  };
}
