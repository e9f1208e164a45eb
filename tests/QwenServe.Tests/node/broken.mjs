// A stream whose server breaks in the middle: node broken.mjs
import assert from 'node:assert/strict';
import OpenAI, { APIError } from 'openai';
import { models, run, servers, tell } from './checks.mjs';

await run({
  async 'a stream that breaks is an error and not an end'() {
    const client = new OpenAI({ baseURL: servers.scripted, apiKey: 'key', maxRetries: 0 });
    const stream = await client.chat.completions.create({ model: models.scripted, messages: [{ role: 'user', content: 'x' }], stream: true });
    await tell('streaming');
    await assert.rejects(async () => { for await (const chunk of stream) assert.ok(chunk.id); }, APIError);
  },
});
