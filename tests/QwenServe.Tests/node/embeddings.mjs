// Embeddings through the OpenAI SDK, which asks for base64 when its user says nothing: node embeddings.mjs BASE_URL.
import assert from 'node:assert/strict';
import OpenAI, { BadRequestError } from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'key', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const input = ['The sky is blue.', 'The sky is blue today.', '你好'];

const decoded = await client.embeddings.create({ model, input });
const floats = await client.embeddings.create({ model, input, encoding_format: 'float' });
assert.equal(decoded.data.length, input.length);
assert.deepEqual(decoded.data.map(d => d.embedding.map(Math.fround)), floats.data.map(d => d.embedding.map(Math.fround)));
assert.deepEqual(decoded.data.map(d => d.index), [0, 1, 2]);
assert.equal(decoded.usage.total_tokens, decoded.usage.prompt_tokens);
for (const { embedding } of decoded.data) assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);

const short = await client.embeddings.create({ model, input: input[0], dimensions: 16 });
assert.equal(short.data[0].embedding.length, 16);
assert.ok(Math.abs(Math.hypot(...short.data[0].embedding) - 1) < 1e-5);
await assert.rejects(client.embeddings.create({ model, input: '' }), e => e instanceof BadRequestError && e.param === 'input');
