// How turns look. A view is made once for a turn and updated in place, while the answer streams as after it.
import { append, copyButton, el, fit, icon, isSubmit } from './dom.js';
import { simulate } from './examples.js';
import { jsonView, readJson } from './json.js';
import { draw } from './markdown.js';
import { pulse } from './pulse.js';
import { check } from './schema.js';
import { tokenView } from './tokens.js';
import { curl } from './api.js';

const Again = 'M15.5 8A6 6 0 1 0 16 11.5M16 4v4h-4';
const Pen = 'M4 16l1-4 8.5-8.5 3 3L8 15z';

/** A turn being written is streaming; the last one waits for what comes next. */
const isStreaming = turn => turn.role === 'assistant' && turn.finish === null && turn.error === null;

/**
 * @param {object} turn
 * @param {{edit(turn, text), regenerate(turn), proceed(turn), reopen(turn), changed()}} actions
 * @returns {{node: HTMLElement, update(isLast: boolean)}}
 */
export const view = (turn, actions) => (turn.role === 'user' ? userView(turn, actions) : modelView(turn, actions));

function userView(turn, actions) {
  const text = el('p', { class: 'said' }, turn.content);
  const edit = el('button', { type: 'button', class: 'quiet', onclick: open }, icon(Pen), 'Edit');
  const foot = el('div', { class: 'after' }, edit, copyButton('Copy', () => turn.content));
  const node = el('li', { class: 'turn user' }, el('h2', { class: 'who' }, 'You'), text, foot);

  function open() {
    const area = el('textarea', { 'aria-label': 'Edit your message', rows: '1' });
    area.value = turn.content;
    const close = () => { form.replaceWith(text); foot.hidden = false; edit.focus(); };
    const send = () => { if (area.value.trim()) { form.replaceWith(text); foot.hidden = false; actions.edit(turn, area.value); } };
    const form = el('form', { class: 'editing', onsubmit: e => { e.preventDefault(); send(); } }, area,
      el('div', { class: 'row' }, el('button', { class: 'main' }, 'Send again'), el('button', { type: 'button', class: 'plain', onclick: close }, 'Cancel'),
        el('span', { class: 'hint' }, 'What followed is replaced.')));
    area.addEventListener('input', () => fit(area));
    area.addEventListener('keydown', e => {
      if (isSubmit(e)) { e.preventDefault(); send(); }
      if (e.key === 'Escape') { e.stopPropagation(); close(); }
    });
    text.replaceWith(form);
    foot.hidden = true;
    fit(area);
    area.focus();
  }

  return { node, update() { text.textContent = turn.content; } };
}

function modelView(turn, actions) {
  const thought = el('div', { class: 'prose' });
  const thinkingTitle = el('summary');
  const thinking = el('details', { class: 'thinking', hidden: true }, thinkingTitle, thought);
  const answer = el('div', { class: 'answer prose', 'aria-live': 'polite' });
  const tokens = tokenView();
  const verdict = el('div', { class: 'verdict' });
  const calls = el('ul', { class: 'calls' });
  const proceed = el('div', { class: 'row proceed', hidden: true });
  const failure = el('div', { class: 'failure', role: 'alert' });
  const line = pulse();
  const figures = el('dl', { class: 'figures' });
  const asText = el('button', { type: 'button', 'aria-pressed': 'true', onclick: () => look('text') }, 'Text');
  const asTokens = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => look('tokens') }, 'Tokens');
  const looks = el('div', { class: 'looks', role: 'group', 'aria-label': 'Show the answer as', hidden: true }, asText, asTokens);
  const again = el('button', { type: 'button', class: 'quiet', onclick: () => actions.regenerate(turn) }, icon(Again), 'Regenerate');
  const after = el('div', { class: 'after' }, again, copyButton('Copy', () => turn.content, { class: 'quiet copy' }), copyButton('Copy as curl', () => curl(turn.request)), looks);
  const node = el('li', { class: 'turn model' }, el('h2', { class: 'who' }, turn.model), thinking, answer, tokens.node, verdict, calls, proceed, failure,
    el('div', { class: 'came' }, line.node, figures), after);
  const cards = [];
  const isJson = (turn.request?.response_format?.type ?? 'text') !== 'text';
  let state = '';
  // Whoever asked for probabilities wants to see them.
  let shows = turn.request?.logprobs ? 'tokens' : 'text';
  let opened = null;
  thinkingTitle.addEventListener('click', () => { opened = !thinking.open; });

  function look(what) {
    shows = what;
    drawAnswer();
  }

  function drawAnswer() {
    const streaming = isStreaming(turn);
    const hasTokens = turn.tokens.length > 0;
    const inTokens = shows === 'tokens' && hasTokens;
    looks.hidden = !hasTokens;
    asText.setAttribute('aria-pressed', String(!inTokens));
    asTokens.setAttribute('aria-pressed', String(inTokens));
    answer.hidden = inTokens;
    tokens.node.hidden = !inTokens;
    if (inTokens) tokens.update(turn.tokens);
    if (!isJson || turn.calls.length > 0) {
      draw(answer, turn.content);
    } else if (streaming || turn.finish !== 'stop') {
      if (turn.content) answer.replaceChildren(el('pre', { class: 'json' }, turn.content));
      else answer.replaceChildren();
    }
  }

  /** Draws what is drawn once, when the answer is there. */
  function settle() {
    verdict.replaceChildren();
    verdict.className = 'verdict';
    if (isStreaming(turn)) return;
    if (turn.finish !== null && !turn.content && turn.calls.length === 0 && !turn.error) {
      answer.replaceChildren(el('p', { class: 'hint' }, turn.finish === 'stopped' ? 'Stopped before it said anything.' : 'The model said nothing.'));
    }
    if (!isJson || turn.calls.length > 0 || turn.error || !turn.content) return;
    const { value, error } = readJson(turn.content);
    if (error) {
      mark('bad', turn.finish === 'stop' ? `Not JSON: ${error}` : 'Not complete JSON: the answer was cut.');
      return;
    }
    answer.replaceChildren(jsonView(value));
    const schema = turn.request.response_format.json_schema?.schema;
    if (schema === undefined) return mark('good', 'Valid JSON');
    const problems = check(schema, value);
    if (problems.length === 0) mark('good', 'Valid against the schema');
    else mark('bad', 'Not valid against the schema', problems);
  }

  function mark(kind, text, problems = []) {
    verdict.classList.add(kind);
    append(verdict, [el('p', {}, text), problems.length > 0 && el('ul', {}, problems.map(p => el('li', {}, p)))]);
  }

  function drawThinking() {
    thinking.hidden = !turn.reasoning;
    if (!turn.reasoning) return;
    draw(thought, turn.reasoning);
    const thinksNow = isStreaming(turn) && !turn.content && turn.calls.length === 0;
    thinkingTitle.textContent = thinksNow ? 'Thinking' : 'Reasoning';
    thinking.classList.toggle('busy', thinksNow);
    // Open while there is nothing else to see, unless someone has opened or closed it.
    thinking.open = opened ?? thinksNow;
  }

  function drawCalls(isLast) {
    const streaming = isStreaming(turn);
    const waits = isLast && !streaming && !turn.error && turn.finish !== 'stopped' && turn.finish !== 'length';
    while (cards.length > turn.calls.length) cards.pop().node.remove();
    turn.calls.forEach((call, i) => {
      if (!cards[i]) {
        cards[i] = callCard(call, turn, actions, refreshProceed);
        calls.append(cards[i].node);
      }
      cards[i].update(streaming ? 'streaming' : waits ? 'waits' : 'done');
    });
    calls.hidden = turn.calls.length === 0;
    const stage = turn.calls.length === 0 || streaming ? 'none' : waits ? 'waits' : 'done';
    if (proceed.dataset.stage === stage) return;
    proceed.dataset.stage = stage;
    proceed.hidden = stage !== 'waits' && (stage !== 'done' || turn.calls.every(c => c.result === undefined));
    if (stage === 'waits') {
      proceed.replaceChildren(
        el('button', { type: 'button', class: 'main', onclick: () => actions.proceed(turn) }, turn.calls.length > 1 ? 'Send results' : 'Send result'),
        el('button', { type: 'button', class: 'plain', onclick: () => { cards.forEach(c => c.simulate()); } }, turn.calls.length > 1 ? 'Simulate all' : 'Simulate'),
        el('span', { class: 'hint' }, 'Nothing was run: say what the function returned.'));
      refreshProceed();
    } else if (stage === 'done') {
      proceed.replaceChildren(el('button', { type: 'button', class: 'quiet', onclick: () => actions.reopen(turn) }, icon(Pen), turn.calls.length > 1 ? 'Edit results' : 'Edit result'));
    }
  }

  function refreshProceed() {
    const send = proceed.querySelector('.main');
    if (send) send.disabled = turn.calls.some(c => !c.result?.trim());
  }

  function drawFailure() {
    if (!turn.error) {
      if (failure.childElementCount > 0) failure.replaceChildren();
      return;
    }
    if (failure.childElementCount > 0) return;
    const { message, status, code, param, requestId, retryAfter } = turn.error;
    const details = [status ? `HTTP ${status}` : null, code, param && `in ${param}`, retryAfter && `try again after ${retryAfter} s`, requestId && `request ${requestId}`].filter(Boolean);
    append(failure, [el('p', {}, message), details.length > 0 && el('p', { class: 'details' }, details.join(' · ')),
      el('button', { type: 'button', class: 'plain', onclick: () => actions.regenerate(turn) }, 'Try again')]);
  }

  function drawFigures() {
    const { first, last, ticks } = turn.times;
    node.querySelector('.came').hidden = ticks.length === 0;
    if (ticks.length === 0) return;
    line.draw(turn.times);
    const out = turn.usage?.completion_tokens ?? turn.tokens.length;
    const usage = turn.usage;
    // All of a short answer may come at once; the wait for it counts then.
    const rate = out > 1 && last > first ? (out - 1) / (last - first) * 1000 : out / Math.max(last, 0.1) * 1000;
    const list = [
      ['Rate', `${rate >= 100 ? rate.toFixed(0) : rate.toFixed(1)} tok/s`],
      ['First token', first >= 1000 ? `${(first / 1000).toFixed(2)} s` : `${first.toFixed(0)} ms`],
      ['Answer', `${out} ${out === 1 ? 'token' : 'tokens'}`],
      usage && ['Prompt', `${usage.prompt_tokens} tokens`],
      usage?.prompt_tokens_details?.cached_tokens !== undefined && ['Cached', `${usage.prompt_tokens_details.cached_tokens}`],
      ({ length: ['Ended', 'at the token limit'], stopped: ['Ended', 'by you'], content_filter: ['Ended', 'by a filter'] })[turn.finish],
    ].filter(Boolean);
    const key = JSON.stringify(list);
    if (figures.key === key) return;
    figures.key = key;
    figures.replaceChildren(...list.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  }

  return {
    node,
    update(isLast) {
      const streaming = isStreaming(turn);
      node.classList.toggle('streaming', streaming);
      node.classList.toggle('empty', streaming && !turn.content && !turn.reasoning && turn.calls.length === 0);
      answer.setAttribute('aria-busy', String(streaming));
      drawThinking();
      const now = streaming ? 'streaming' : 'settled';
      if (now === 'streaming' || state !== now) {
        drawAnswer();
        if (state !== now) settle();
      }
      state = now;
      drawCalls(isLast);
      drawFailure();
      drawFigures();
      after.hidden = streaming;
      after.querySelector('.copy').hidden = !turn.content;
      again.hidden = turn.error !== null;
    },
  };
}

function callCard(call, turn, actions, changed) {
  const given = el('div', { class: 'given' });
  const fits = el('span', { class: 'fits' });
  const result = el('div', { class: 'result' });
  const node = el('li', { class: 'call' }, el('p', { class: 'name' }, el('code', {}, call.name), fits), given, result);
  let area = null;
  let drawn = '';

  function fill(text) {
    call.result = text;
    if (area) {
      area.value = text;
      fit(area);
    }
    actions.changed();
    changed();
  }

  return {
    node,
    simulate() { if (!call.result?.trim()) fill(simulate(call)); },
    update(state) {
      const key = `${state}\n${call.arguments}\n${state === 'done' ? call.result : ''}`;
      if (key === drawn) return;
      const hadFocus = area === document.activeElement;
      drawn = key;
      area = null;
      if (state === 'streaming') {
        given.replaceChildren(el('pre', { class: 'json' }, call.arguments));
        result.replaceChildren();
        return;
      }
      const { value, error } = readJson(call.arguments);
      given.replaceChildren(error ? el('pre', { class: 'json' }, call.arguments) : jsonView(value, true));
      const declared = turn.request?.tools?.find(t => t.function.name === call.name)?.function;
      const problems = error ? [`not JSON: ${error}`] : declared ? check(declared.parameters ?? true, value) : ['no such function was declared'];
      fits.className = problems.length === 0 ? 'fits good' : 'fits bad';
      fits.textContent = problems.length === 0 ? 'fits its parameters' : problems.join('; ');
      if (state === 'waits') {
        area = el('textarea', { rows: '1', class: 'mono', spellcheck: 'false', 'aria-label': `Result of ${call.name} ${call.arguments}`, placeholder: 'What it returned' });
        area.value = call.result ?? '';
        area.addEventListener('input', () => { call.result = area.value; fit(area); actions.changed(); changed(); });
        area.addEventListener('keydown', e => { if (isSubmit(e) && turn.calls.every(c => c.result?.trim())) { e.preventDefault(); actions.proceed(turn); } });
        result.replaceChildren(el('p', { class: 'label' }, 'Result'), area);
        requestAnimationFrame(() => fit(area ?? el('textarea')));
        if (hadFocus) area.focus();
      } else if (call.result !== undefined) {
        const read = readJson(call.result);
        result.replaceChildren(el('p', { class: 'label' }, 'Result'), read.value !== null && typeof read.value === 'object' ? jsonView(read.value, true) : el('pre', { class: 'json' }, call.result));
      } else {
        result.replaceChildren();
      }
    },
  };
}
