// The server, as the page needs it: readiness, models, and a chat completion as it streams.
import { events } from './sse.js';

const KeyName = 'qwenserve.key';

/** Addresses are relative, so that the page works behind a proxy that serves it under a path. */
const at = path => new URL(path, document.baseURI).toString();

export const baseUrl = () => at('v1');

/** A refusal in OpenAI's envelope, or a connection that failed (status 0). */
export class ApiError extends Error {
  constructor(message, details = {}) {
    super(message);
    this.status = details.status ?? 0;
    this.code = details.code ?? null;
    this.param = details.param ?? null;
    this.requestId = details.requestId ?? null;
    this.retryAfter = details.retryAfter ?? null;
  }
}

let key = null;
try { key = sessionStorage.getItem(KeyName); } catch { /* It is asked for again after a reload. */ }

export const hasKey = () => key !== null;

export function setKey(value) {
  key = value || null;
  try {
    if (key) sessionStorage.setItem(KeyName, key);
    else sessionStorage.removeItem(KeyName);
  } catch { /* As above. */ }
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(at(path), { ...options, headers, cache: 'no-store' });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError('The server cannot be reached.');
  }
  if (response.ok) return response;
  const details = { status: response.status, requestId: response.headers.get('x-request-id'), retryAfter: response.headers.get('retry-after') };
  let error = null;
  try { error = (await response.json()).error; } catch { /* A proxy's page, perhaps. */ }
  throw new ApiError(error?.message ?? `The server answered ${response.status} ${response.statusText}`.trim(), { ...details, code: error?.code, param: error?.param });
}

/** Resolves when the server can take requests, rejects with what it says otherwise. */
export const ready = () => call('readyz');

/** @returns {Promise<{id: string, max_model_len?: number}[]>} */
export const models = async () => (await (await call('v1/models')).json()).data;

/** Yields the chunks of an answer; an answer that breaks off raises. */
export async function* chat(request, signal) {
  const response = await call('v1/chat/completions', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request), signal,
  });
  const requestId = response.headers.get('x-request-id');
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiError(chunk.error.message, { ...chunk.error, requestId });
      yield chunk;
    }
  } catch (e) {
    if (e instanceof ApiError || e.name === 'AbortError') throw e;
    throw new ApiError('The connection broke before the answer was complete.', { requestId });
  }
  throw new ApiError('The connection ended before the answer was complete.', { requestId });
}

/** The request as a command; a key is named, not told. */
export function curl(request) {
  const body = JSON.stringify(request, null, 2).replaceAll("'", `'\\''`);
  const guard = key ? ' \\\n  -H "Authorization: Bearer $QWENSERVE_API_KEY"' : '';
  return `curl -N ${at('v1/chat/completions')} \\\n  -H 'Content-Type: application/json'${guard} \\\n  -d '${body}'\n`;
}
