// An answer token by token: the less likely a token was, the stronger its mark. One tab stop; arrows walk the tokens, and the one that
// is pointed at or focused shows what else could have been.
import { byId, el } from './dom.js';

/** Lower bounds of the marks; above the first there is none. */
const Bounds = [0.9, 0.6, 0.3, 0.1];

export const level = p => Bounds.filter(bound => p < bound).length;

export const percent = p => (p > 0.9995 ? '100' : p >= 0.0995 ? (p * 100).toFixed(0) : p >= 0.001 ? (p * 100).toFixed(1) : '<0.1') + '%';

/** The text of a token; of one that is part of a character its bytes, as \xE4. */
function textOf(entry) {
  if (!entry.bytes) return entry.token;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(entry.bytes));
  } catch {
    return entry.bytes.map(b => '\\x' + b.toString(16).toUpperCase().padStart(2, '0')).join('');
  }
}

const shown = text => text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '·');

export function tokenView() {
  const row = el('p', { class: 'tokens', role: 'group', 'aria-label': 'Tokens; arrow keys walk them' });
  const legend = el('p', { class: 'legend' }, 'Likely', ...Bounds.concat(0).map((_, i) => el('span', { class: `token l${i}` }, ['≥90%', '≥60%', '≥30%', '≥10%', '<10%'][i])), 'unlikely');
  const node = el('div', { class: 'token-view' }, row, legend);
  let drawn = [];

  row.addEventListener('keydown', event => {
    const at = [...row.children].indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: row.children.length - 1 }[event.key];
    if (at < 0 || to === undefined || !row.children[to]) return;
    event.preventDefault();
    row.children[at].tabIndex = -1;
    row.children[to].tabIndex = 0;
    row.children[to].focus();
  });
  row.addEventListener('focusin', e => show(e.target));
  row.addEventListener('focusout', hide);
  row.addEventListener('pointerover', e => show(e.target));
  row.addEventListener('pointerleave', () => hide());
  // A tap focuses; the card is shown by that.
  row.addEventListener('click', e => e.target.closest('.token')?.focus());

  function show(target) {
    const token = target.closest?.('.token');
    if (token) showOdds(token, drawn[[...row.children].indexOf(token)]);
  }

  return {
    node,
    update(tokens) {
      if (tokens.length < drawn.length || tokens[0] !== drawn[0]) { row.replaceChildren(); drawn = []; }
      for (const entry of tokens.slice(drawn.length)) {
        const text = textOf(entry);
        const p = Math.exp(entry.logprob);
        row.append(el('span', { class: `token l${level(p)}`, role: 'button', tabindex: drawn.length === 0 ? '0' : '-1', 'aria-label': `${text.trim() || shown(text)}, ${percent(p)}` },
          text.replaceAll('\n', '↵\n')));
        drawn.push(entry);
      }
    },
  };
}

let shownFor = null;

function showOdds(token, entry) {
  const card = byId('odds');
  shownFor?.removeAttribute('aria-describedby');
  shownFor = token;
  token.setAttribute('aria-describedby', 'odds');
  const rows = (entry.top_logprobs ?? []).some(t => t.token === entry.token && t.logprob === entry.logprob) ? entry.top_logprobs : [entry, ...entry.top_logprobs ?? []];
  card.replaceChildren(
    el('p', { class: 'chosen' }, el('code', {}, shown(textOf(entry))), el('span', {}, percent(Math.exp(entry.logprob)))),
    el('p', { class: 'log' }, `log-probability ${entry.logprob > -0.0005 ? '0' : entry.logprob.toFixed(3).replace('-', '−')}`),
    rows.length > 1 ? el('ol', {}, rows.map(t => {
      const p = Math.exp(t.logprob);
      const bar = el('span', { class: 'share' });
      bar.style.setProperty('--p', p.toFixed(4));
      return el('li', { class: t.token === entry.token ? 'taken' : null }, el('code', {}, shown(textOf(t))), bar, el('span', { class: 'figure' }, percent(p)));
    })) : null);
  card.hidden = false;
  const box = token.getClientRects()[0] ?? token.getBoundingClientRect();
  const width = card.offsetWidth;
  const height = card.offsetHeight;
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - width - 8));
  const top = box.bottom + height + 12 < innerHeight || box.top < height + 12 ? box.bottom + 6 : box.top - height - 6;
  card.style.left = `${left}px`;
  card.style.top = `${top}px`;
}

export function hide() {
  byId('odds').hidden = true;
  shownFor?.removeAttribute('aria-describedby');
  shownFor = null;
}

addEventListener('scroll', () => { if (shownFor && !shownFor.matches(':focus')) hide(); }, { passive: true });
