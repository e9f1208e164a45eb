// Drives a server with Anthropic's SDK: node client.mjs BASE_URL SUITE. Ends with code 0 when all went well.
import assert from 'node:assert/strict';
import Anthropic, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, OverloadedError } from '@anthropic-ai/sdk';

const [baseURL, suite] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey: 'key', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello! What can you do?' }];
const model = suite === 'chat' ? 'qwenserve-demo' : 'org/name';
const max_tokens = 100;
const input_schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const tools = [{ name: 'get_weather', description: 'Weather of a city', input_schema }];
const text = message => message.content.filter(b => b.type === 'text').map(b => b.text).join('');

const suites = {
  async chat() {
    const whole = await client.messages.create({ model, max_tokens, messages, temperature: 0 });
    assert.equal(whole.stop_reason, 'end_turn');
    assert.ok(text(whole).length > 0);
    assert.ok(whole._request_id.startsWith('req_'));

    let events = '';
    for await (const event of await client.messages.create({ model, max_tokens, messages, temperature: 0, stream: true }))
      if (event.type === 'content_block_delta') events += event.delta.text;
    assert.equal(events, text(whole));

    let heard = '';
    const stream = client.messages.stream({ model, max_tokens, messages, temperature: 0 }).on('text', piece => heard += piece);
    const assembled = await stream.finalMessage();
    assert.equal(heard, text(whole));
    assert.deepEqual(assembled.content, whole.content);
    assert.equal(assembled.stop_reason, whole.stop_reason);
    assert.equal(assembled.usage.output_tokens, whole.usage.output_tokens);

    const counted = await client.messages.countTokens({ model, messages, system: 'Be brief.' });
    const { usage } = await client.messages.create({ model, max_tokens: 1, messages, system: 'Be brief.' });
    assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens);

    const schema = { type: 'object', properties: { mood: { enum: ['good', 'bad'] } }, required: ['mood'], additionalProperties: false };
    const held = await client.messages.create({ model, max_tokens, messages, output_config: { format: { type: 'json_schema', schema } } });
    assert.ok(['good', 'bad'].includes(JSON.parse(text(held)).mood));
    const demanded = await client.messages.create({ model, max_tokens: 200, messages, tools, tool_choice: { type: 'tool', name: 'get_weather' } });
    assert.equal(demanded.stop_reason, 'tool_use');
    assert.equal(typeof demanded.content[0].input.city, 'string');
  },

  // A model that calls for two cities and then says what it was told.
  async tools() {
    const asked = [];
    for (const streamed of [false, true]) {
      const history = [...messages];
      for (let turn = 0; ; turn++) {
        assert.ok(turn < 3);
        const request = { model, max_tokens, messages: history, tools };
        const message = streamed ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
        history.push({ role: 'assistant', content: message.content });
        if (message.stop_reason !== 'tool_use') {
          assert.equal(text(message), 'It is 21 degrees in both.');
          break;
        }
        history.push({
          role: 'user',
          content: message.content.filter(b => b.type === 'tool_use').map(b => {
            asked.push(b.input.city);
            return { type: 'tool_result', tool_use_id: b.id, content: [{ type: 'text', text: `21 degrees in ${b.input.city}` }] };
          }),
        });
      }
    }
    assert.deepEqual(asked, ['Paris', 'Rome', 'Paris', 'Rome']);

    const runner = client.beta.messages.toolRunner({
      model, max_tokens, messages,
      tools: [{ type: 'custom', ...tools[0], parse: input => input, run: async ({ city }) => { asked.push(city); return `21 degrees in ${city}`; } }],
    });
    assert.equal(text(await runner.runUntilDone()), 'It is 21 degrees in both.');
    assert.deepEqual(asked.slice(4), ['Paris', 'Rome']);
  },

  async errors() {
    const is = (type, kind) => e => e instanceof kind && e.type === type && e.requestID?.startsWith('req_') && e.error.request_id === e.requestID;
    const ask = more => client.messages.create({ model, max_tokens, messages, ...more });
    await assert.rejects(ask({ temperature: 9 }), is('invalid_request_error', BadRequestError));
    await assert.rejects(ask({ temperature: 9, stream: true }), is('invalid_request_error', BadRequestError));
    await assert.rejects(ask({ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://example.org/x.png' } }] }] }), is('invalid_request_error', BadRequestError));
    await assert.rejects(ask({ model: 'nothing' }), is('not_found_error', NotFoundError));
    await assert.rejects(client.messages.countTokens({ model: 'nothing', messages }), is('not_found_error', NotFoundError));
    await assert.rejects(new Anthropic({ baseURL, apiKey: 'wrong', maxRetries: 0 }).messages.create({ model, max_tokens, messages }), is('authentication_error', AuthenticationError));
    await new Anthropic({ baseURL, apiKey: null, authToken: 'key', maxRetries: 0 }).messages.countTokens({ model, messages });
    const stream = await ask({ stream: true, max_tokens: 400 });
    for await (const event of stream) {
      assert.ok(event.type);
      stream.controller.abort();
    }
  },

  async overload() {
    await assert.rejects(client.messages.create({ model, max_tokens, messages }), e => e instanceof OverloadedError && e.type === 'overloaded_error' && Number(e.headers.get('retry-after')) >= 1);
  },

  async broken() {
    const stream = client.messages.stream({ model, max_tokens: 400, messages });
    stream.once('text', () => console.log('streaming'));
    await assert.rejects(stream.finalMessage(), e => e instanceof APIError && !(e instanceof InternalServerError) && e.type === 'api_error');
  },
};
await suites[suite]();
process.exit(0);
