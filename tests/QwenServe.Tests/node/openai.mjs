// Drives a server with the OpenAI SDK: node openai.mjs BASE_URL SUITE. Ends with code 0 when all went well.
import assert from 'node:assert/strict';
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError } from 'openai';

const [baseURL, suite] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [{ role: 'user', content: 'Hello! What can you do?' }];
const tools = [{
  type: 'function',
  function: { name: 'get_weather', description: 'Weather of a city', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
}];

const suites = {
  async chat() {
    const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
    assert.ok(whole.choices[0].message.content.length > 0);
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.ok(whole._request_id);

    const stream = await client.chat.completions.create({ model, messages, temperature: 0, stream: true, stream_options: { include_usage: true } });
    let text = '', usage = null, finish = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(finish, 'stop');
    assert.equal(usage.completion_tokens, whole.usage.completion_tokens);

    const helper = client.chat.completions.stream({ model, messages, temperature: 0 });
    assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);

    const completion = await client.completions.create({ model, prompt: 'Hello', max_tokens: 5, logprobs: 2, echo: true, temperature: 0 });
    assert.ok(completion.choices[0].text.startsWith('Hello'));
    assert.equal(completion.choices[0].logprobs.token_logprobs[0], null);
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async tools() {
    const whole = await client.chat.completions.create({ model, messages, tools });
    assert.equal(whole.choices[0].finish_reason, 'tool_calls');
    const calls = whole.choices[0].message.tool_calls;
    assert.deepEqual(calls.map(c => JSON.parse(c.function.arguments)), [{ city: 'Paris' }, { city: 'Rome' }]);

    const streamed = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.tool_calls.map(c => c.function), calls.map(c => c.function));

    const asked = [];
    const run = stream => client.chat.completions.runTools({
      model, messages, stream,
      tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: async ({ city }) => { asked.push(city); return `21 degrees in ${city}`; } } }],
    }).finalContent();
    for (const stream of [false, true]) assert.equal(await run(stream), 'It is 21 degrees in both.');
    assert.deepEqual(asked, ['Paris', 'Rome', 'Paris', 'Rome']);
  },

  async errors() {
    await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9 }), e => e instanceof BadRequestError && e.param === 'temperature' && e.code === 'decimal_above_max_value' && e.requestID !== undefined);
    await assert.rejects(client.chat.completions.create({ model: 'nothing', messages }), e => e instanceof NotFoundError && e.code === 'model_not_found');
    await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9, stream: true }), e => e instanceof BadRequestError);
    await assert.rejects(new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list(), e => e instanceof AuthenticationError);
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      stream.controller.abort();
    }
  },

  async broken() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    console.log('streaming');
    await assert.rejects(async () => { for await (const chunk of stream) assert.ok(chunk.id); }, e => e instanceof APIError || e instanceof Error);
  },
};
await suites[suite]();
