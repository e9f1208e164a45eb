// What is kept: settings and the conversation in localStorage, on this machine alone. A page without storage works and forgets.

const Name = 'qwenserve.playground';

const defaults = {
  model: '', system: '', sampling: {}, stop: '',
  toolsOn: false, tools: '', toolChoice: 'auto', parallel: true,
  format: 'text', schema: '', logprobs: false, topLogprobs: 5,
};

/** One object for the whole page; {@link save} after a change. */
export const settings = { ...defaults };

/**
 * The turns. A user's: {role, content}. The model's: {role, content, reasoning, calls: [{id, name, arguments, result}], finish, error, model, usage,
 * times: {first, last, ticks} in ms since it was asked for, tokens (log-probs as the server wrote them), request (what was sent)}.
 */
export const turns = [];

try {
  const kept = JSON.parse(localStorage.getItem(Name) ?? '{}');
  for (const key of Object.keys(defaults)) if (typeof kept.settings?.[key] === typeof defaults[key]) settings[key] = kept.settings[key];
  for (const turn of Array.isArray(kept.turns) ? kept.turns : []) if (isTurn(turn)) turns.push(turn);
} catch {
  // Nothing kept, or nothing that can be read.
}

/** What another version of the page kept must not break this one. */
function isTurn(turn) {
  if (typeof turn?.content !== 'string') return false;
  return turn.role === 'user' || (turn.role === 'assistant' && Array.isArray(turn.calls) && Array.isArray(turn.tokens) && Array.isArray(turn.times?.ticks));
}

let timer = 0;

export function save() {
  clearTimeout(timer);
  timer = setTimeout(saveNow, 300);
}

export function saveNow() {
  clearTimeout(timer);
  try {
    localStorage.setItem(Name, JSON.stringify({ settings, turns }));
  } catch {
    // Full: the log-probs are most of it, and the figures say nothing of the text.
    try {
      localStorage.setItem(Name, JSON.stringify({ settings, turns: turns.map(t => (t.role === 'user' ? t : { ...t, tokens: [], times: { ...t.times, ticks: [] } })) }));
    } catch { /* Then it is forgotten. */ }
  }
}

/** Takes a turn and all after it away. */
export function cutAt(turn) {
  const at = turns.indexOf(turn);
  if (at >= 0) turns.length = at;
  save();
}
