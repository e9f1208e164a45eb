// From settings and turns to the body of POST /v1/chat/completions.
import { readJson } from './json.js';

/** The numbers one can set; what is left empty is not sent, so that the checkpoint's default holds. */
export const Sampling = [
  { name: 'temperature', label: 'Temperature', min: 0, max: 2, step: 0.05, resting: 1, hint: '0 takes the likeliest token' },
  { name: 'top_p', label: 'Top p', min: 0, max: 1, step: 0.01, resting: 1, hint: 'share of the likeliest to draw from' },
  { name: 'top_k', label: 'Top k', min: -1, max: 1000000, step: 1, hint: 'how many to draw from; 0 is all' },
  { name: 'min_p', label: 'Min p', min: 0, max: 1, step: 0.01, resting: 0, hint: 'least share of the likeliest one' },
  { name: 'repetition_penalty', label: 'Repetition penalty', min: 0.5, max: 2, step: 0.01, resting: 1, hint: '1 is none' },
  { name: 'max_tokens', label: 'Most tokens', min: 1, max: 1000000, step: 1, hint: 'length of an answer' },
  { name: 'seed', label: 'Seed', min: -9007199254740991, max: 9007199254740991, step: 1, hint: 'the same draws again' },
];

/** @param {object} settings @param {object[]} turns Those before the answer. */
export function buildRequest(settings, turns) {
  const request = { model: settings.model, messages: messages(settings.system, turns) };
  for (const { name } of Sampling) if (typeof settings.sampling[name] === 'number') request[name] = settings.sampling[name];
  const stop = settings.stop.split('\n').filter(line => line !== '').map(unescapeText);
  if (stop.length > 0) request.stop = stop;
  if (settings.toolsOn) {
    const { tools } = readTools(settings.tools);
    if (tools?.length) {
      request.tools = tools;
      const named = tools.some(t => t.function.name === settings.toolChoice);
      if (named) request.tool_choice = { type: 'function', function: { name: settings.toolChoice } };
      else if (['none', 'required'].includes(settings.toolChoice)) request.tool_choice = settings.toolChoice;
      if (!settings.parallel) request.parallel_tool_calls = false;
    }
  }
  if (settings.format === 'json_object') request.response_format = { type: 'json_object' };
  if (settings.format === 'json_schema') {
    const { value } = readJson(settings.schema);
    if (value !== undefined) request.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema: value } };
  }
  if (settings.logprobs) Object.assign(request, { logprobs: true, top_logprobs: settings.topLogprobs });
  return Object.assign(request, { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } });
}

function messages(system, turns) {
  const list = system.trim() ? [{ role: 'system', content: system }] : [];
  for (const turn of turns) {
    if (turn.role === 'user') {
      list.push({ role: 'user', content: turn.content });
    } else if (turn.calls.length > 0) {
      list.push({
        role: 'assistant', content: turn.content || null,
        tool_calls: turn.calls.map(c => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.arguments } })),
      });
      for (const call of turn.calls) list.push({ role: 'tool', tool_call_id: call.id, content: call.result ?? '' });
    } else if (turn.content) {
      list.push({ role: 'assistant', content: turn.content });
    }
  }
  return list;
}

const unescapeText = text => text.replace(/\\([nrt\\])/g, (_, c) => ({ n: '\n', r: '\r', t: '\t', '\\': '\\' })[c]);

/** Tools as the API takes them, out of an array, one tool, or functions without their envelope. @returns {{tools?: object[], error?: string}} */
export function readTools(text) {
  if (!text.trim()) return { error: 'Nothing here yet.' };
  const { value, error } = readJson(text);
  if (error) return { error };
  const list = Array.isArray(value) ? value : value?.tools && Array.isArray(value.tools) ? value.tools : [value];
  if (list.length === 0) return { error: 'The list is empty.' };
  const tools = [];
  for (const [i, item] of list.entries()) {
    const of = list.length > 1 ? `Tool ${i + 1}` : 'The tool';
    const declared = item?.function ?? item;
    if (declared === null || typeof declared !== 'object' || Array.isArray(declared)) return { error: `${of} is not an object.` };
    if (item.type !== undefined && item.function !== undefined && item.type !== 'function') return { error: `${of} has the type ${JSON.stringify(item.type)}; only "function" is known.` };
    if (typeof declared.name !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(declared.name)) return { error: `${of} needs a name of letters, digits, _ and -, at most 64.` };
    if (declared.parameters !== undefined && (declared.parameters === null || typeof declared.parameters !== 'object' || Array.isArray(declared.parameters)))
      return { error: `The parameters of ${declared.name} are not a schema.` };
    if (tools.some(t => t.function.name === declared.name)) return { error: `${declared.name} is declared twice.` };
    tools.push({ type: 'function', function: item.function ? declared : without(declared, 'type') });
  }
  return { tools };
}

const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
