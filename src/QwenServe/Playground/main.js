// The page's conduct: waits for the server, sends, streams, stops, and keeps the conversation.
import { ApiError, baseUrl, chat, curl, hasKey, models, ready, setKey } from './api.js';
import { announce, byId, el, fit, icon, isSubmit, onCopy } from './dom.js';
import { Examples, Plain } from './examples.js';
import { fill, obstacle, openPanel, startPanel } from './panel.js';
import { buildRequest } from './request.js';
import { cutAt, save, saveNow, settings, turns } from './store.js';
import { hide as hideOdds } from './tokens.js';
import { view } from './turns.js';

const views = new Map();
const prompt = byId('prompt');
const reduced = matchMedia('(prefers-reduced-motion: reduce)');
let state = 'connecting';
let running = null;
let known = [];

// What a reload cut off is not going on.
for (const turn of turns) if (turn.role === 'assistant' && turn.finish === null && turn.error === null) turn.finish = 'stopped';

// ---- server

/** Says where the server is until it can take requests, then unlocks the page. */
async function waitUntilReady() {
  if (waitUntilReady.running) return;
  waitUntilReady.running = true;
  for (;;) {
    try {
      await ready();
      known = await models();
      break;
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      if (e.status === 401) { lock(e); break; }
      const share = /\((\d+)%\)/.exec(e.message);
      setState(e.status === 0 ? 'offline' : 'loading', e.status === 0 ? 'The server cannot be reached. Trying again.' : e.message, share ? Number(share[1]) / 100 : null);
      await new Promise(done => setTimeout(done, e.status === 0 ? 1500 : 400));
    }
  }
  waitUntilReady.running = false;
  if (state === 'locked') return;
  byId('gate').hidden = true;
  drawModels();
  setState('ready');
  draw();
}

function setState(next, text = '', share = null) {
  const before = state;
  state = next;
  document.documentElement.dataset.state = next;
  byId('state-text').textContent = { ready: 'Ready', loading: share === null ? 'Loading' : `Loading ${Math.round(share * 100)}%`, offline: 'Not reached', locked: 'Key needed' }[next] ?? 'Connecting';
  byId('loading').hidden = next !== 'loading' && next !== 'offline';
  if (byId('loading-text').textContent !== text) byId('loading-text').textContent = text;
  byId('loading-bar').hidden = next !== 'loading';
  if (share === null) byId('loading-bar').removeAttribute('value');
  else byId('loading-bar').value = share;
  byId('key-button').hidden = !hasKey() && next !== 'locked';
  if (next === 'ready' && before !== 'ready' && before !== 'connecting') announce('The model is ready.');
  drawSend();
}

function lock(error) {
  setState('locked');
  byId('gate').hidden = false;
  byId('start').hidden = true;
  byId('foot').hidden = true;
  byId('turns').hidden = true;
  byId('key-error').textContent = hasKey() ? error.message : '';
  byId('key').focus();
}

byId('gate').addEventListener('submit', event => {
  event.preventDefault();
  setKey(byId('key').value.trim());
  setState('connecting');
  waitUntilReady().then(() => { if (state === 'ready') { byId('key').value = ''; prompt.focus(); } });
});

byId('key-button').addEventListener('click', () => {
  stop();
  setKey(null);
  lock({ message: '' });
});

function drawModels() {
  const select = byId('model');
  select.replaceChildren(...known.map(m => el('option', { value: m.id }, m.id)));
  select.disabled = known.length === 0;
  if (!known.some(m => m.id === settings.model)) settings.model = known[0]?.id ?? '';
  select.value = settings.model;
  drawModel();
  save();
}

function drawModel() {
  const length = known.find(m => m.id === settings.model)?.max_model_len;
  byId('model').title = length ? `${length.toLocaleString('en')} tokens of context` : '';
}

byId('model').addEventListener('change', e => { settings.model = e.target.value; drawModel(); save(); });

// ---- turns

const actions = {
  edit(turn, text) {
    stop();
    cutAt(turn);
    turns.push({ role: 'user', content: text });
    run();
  },
  regenerate(turn) {
    stop();
    cutAt(turn);
    run();
  },
  proceed() {
    run();
  },
  reopen(turn) {
    stop();
    const next = turns[turns.indexOf(turn) + 1];
    if (next) cutAt(next);
    draw();
    views.get(turn)?.node.querySelector('.result textarea')?.focus();
  },
  changed: save,
};

/** Brings the page in line with the turns. */
function draw() {
  const list = byId('turns');
  for (const [turn, shown] of views) {
    if (turns.includes(turn)) continue;
    shown.node.remove();
    views.delete(turn);
  }
  turns.forEach((turn, i) => {
    if (!views.has(turn)) views.set(turn, view(turn, actions));
    const shown = views.get(turn);
    if (list.children[i] !== shown.node) list.insertBefore(shown.node, list.children[i] ?? null);
    shown.update(i === turns.length - 1);
  });
  const locked = state === 'locked';
  byId('start').hidden = locked || turns.length > 0;
  byId('foot').hidden = locked;
  list.hidden = locked || turns.length === 0;
  byId('new').disabled = turns.length === 0;
  byId('curl').disabled = byId('export').disabled = turns.length === 0;
  if (document.activeElement === document.body && state === 'ready' && !matchMedia('(pointer: coarse)').matches) prompt.focus({ preventScroll: true });
}

/** Asks for an answer to the turns so far. */
async function run() {
  if (running || state !== 'ready' || turns.length === 0) { draw(); return; }
  const stuck = obstacle();
  if (stuck) {
    draw();
    openPanel(stuck.section);
    announce(stuck.message);
    return;
  }
  const turn = {
    role: 'assistant', content: '', reasoning: '', calls: [], finish: null, error: null, model: settings.model,
    usage: null, times: { first: 0, last: 0, ticks: [] }, tokens: [], request: buildRequest(settings, turns),
  };
  turns.push(turn);
  const abort = running = new AbortController();
  byId('log').setAttribute('aria-busy', 'true');
  drawSend();
  draw();
  follow(true);
  announce('Waiting for the answer.');
  const started = performance.now();
  let ending = 'stop';
  try {
    for await (const chunk of chat(turn.request, abort.signal)) {
      ending = take(turn, chunk, performance.now() - started) ?? ending;
      drawSoon(turn);
    }
    turn.finish = ending;
  } catch (e) {
    if (abort.signal.aborted) turn.finish = 'stopped';
    else if (e instanceof ApiError) turn.error = { ...e, message: e.message };
    else turn.error = { message: String(e?.message ?? e), status: 0 };
  }
  if (running === abort) running = null;
  save();
  if (!turns.includes(turn)) { drawSend(); return; }
  byId('log').setAttribute('aria-busy', 'false');
  draw();
  drawSend();
  follow();
  announce(turn.error ? '' : turn.finish === 'stopped' ? 'Stopped.' : turn.calls.length > 0 ? `The model calls ${turn.calls.map(c => c.name).join(', ')}.` : 'The answer is complete.');
  if (turn.calls.length > 0 && !turn.error) views.get(turn).node.querySelector('.result textarea')?.focus({ preventScroll: true });
  if (turn.error?.status === 401) lock(turn.error);
  else if (turn.error && (turn.error.status === 0 || turn.error.status === 503)) waitUntilReady();
}

/** Adds what came to the turn. @returns {string?} Why the answer ended, in the chunk that says so. */
function take(turn, chunk, now) {
  if (chunk.usage) turn.usage = chunk.usage;
  const choice = chunk.choices?.[0];
  if (!choice) return null;
  const { content, reasoning_content: reasoning, tool_calls: calls } = choice.delta ?? {};
  if (content || reasoning || calls) {
    if (turn.times.ticks.length === 0) turn.times.first = Math.round(now * 10) / 10;
    turn.times.last = Math.round(now * 10) / 10;
    turn.times.ticks.push(Math.round(now));
  }
  if (content) turn.content += content;
  if (reasoning) turn.reasoning += reasoning;
  for (const delta of calls ?? []) {
    const call = turn.calls[delta.index] ??= { id: '', name: '', arguments: '', result: undefined };
    if (delta.id) call.id = delta.id;
    if (delta.function?.name) call.name = delta.function.name;
    call.arguments += delta.function?.arguments ?? '';
  }
  if (choice.logprobs?.content) turn.tokens.push(...choice.logprobs.content);
  return choice.finish_reason ?? null;
}

let frame = 0;

function drawSoon(turn) {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    if (!turns.includes(turn)) return;
    views.get(turn)?.update(turn === turns.at(-1));
    follow();
  });
}

function stop() {
  running?.abort();
  running = null;
  drawSend();
}

// ---- composer

function drawSend() {
  const busy = running !== null;
  const focused = document.activeElement === byId('send') || document.activeElement === byId('stop');
  byId('stop').hidden = !busy;
  byId('send').hidden = busy;
  byId('send').disabled = state !== 'ready' || prompt.value.trim() === '';
  for (const button of byId('examples').querySelectorAll('button')) button.disabled = state !== 'ready';
  if (focused && document.activeElement === document.body) prompt.focus();
}

function send() {
  const text = prompt.value;
  if (running || state !== 'ready' || !text.trim()) return;
  // The API wants a result for each call; one that was passed over gets an honest one.
  const last = turns.at(-1);
  for (const call of last?.calls ?? []) call.result ||= '{"error": "not run"}';
  turns.push({ role: 'user', content: text });
  prompt.value = '';
  fit(prompt);
  run();
}

byId('composer').addEventListener('submit', event => { event.preventDefault(); send(); });
byId('stop').addEventListener('click', stop);
prompt.addEventListener('input', () => { fit(prompt); drawSend(); });
prompt.addEventListener('keydown', event => {
  if (!isSubmit(event) && (event.key !== 'Enter' || event.shiftKey || event.altKey || event.isComposing)) return;
  event.preventDefault();
  send();
});
addEventListener('keydown', event => {
  if (event.key !== 'Escape') return;
  if (!byId('odds').hidden) hideOdds();
  else stop();
});

byId('new').addEventListener('click', () => {
  stop();
  turns.length = 0;
  saveNow();
  draw();
  announce('New conversation.');
  prompt.focus();
});

byId('examples').append(...Examples.map(example => el('li', {}, el('button', {
  type: 'button', disabled: true,
  onclick() {
    Object.assign(settings, Plain, example.settings);
    fill();
    prompt.value = example.prompt;
    send();
  },
}, el('span', { class: 'shows' }, example.shows), el('span', { class: 'says', lang: example.shows === '中文' ? 'zh' : null }, example.prompt), icon('M4 10h12m-5-5 5 5-5 5')))));

byId('base').textContent = baseUrl();
onCopy(byId('copy-base'), baseUrl);

// ---- conversation

onCopy(byId('curl'), () => {
  const last = turns.at(-1);
  return curl(last?.request ?? buildRequest(settings, turns));
});

byId('export').addEventListener('click', () => {
  const { model, messages, ...options } = buildRequest(settings, turns);
  const kept = { model, messages, options, turns, exported: new Date().toISOString() };
  const address = URL.createObjectURL(new Blob([JSON.stringify(kept, null, 2) + '\n'], { type: 'application/json' }));
  el('a', { href: address, download: 'conversation.json' }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});

// ---- the page

const end = () => document.documentElement.scrollHeight - innerHeight - scrollY;
let following = true;

/** Keeps the end of the conversation in sight, unless the reader has gone elsewhere. */
function follow(anyway = false) {
  if (anyway) following = true;
  if (following) scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
}

let scrolled = scrollY;
addEventListener('scroll', () => {
  if (scrollY < scrolled - 2) following = end() < 40;
  else if (end() < 40) following = true;
  scrolled = scrollY;
  byId('latest').hidden = end() < 200 || turns.length === 0;
}, { passive: true });
byId('latest').addEventListener('click', () => {
  following = true;
  scrollTo({ top: document.documentElement.scrollHeight, behavior: reduced.matches ? 'instant' : 'smooth' });
  prompt.focus({ preventScroll: true });
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
const drawTheme = () => byId('theme').setAttribute('aria-pressed', String(isDark()));
dark.addEventListener('change', drawTheme);
byId('theme').addEventListener('click', () => {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem('qwenserve.theme', theme); } catch { /* It holds until the page is left. */ }
  drawTheme();
});
drawTheme();

addEventListener('pagehide', saveNow);
startPanel(drawSend);
draw();
if (turns.length > 0) follow(true);
waitUntilReady();
