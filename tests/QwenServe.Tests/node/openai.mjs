// The OpenAI SDK, versions 4 to 7: node openai.mjs VERSION.
import assert from 'node:assert/strict';
import { average, averageParameters, degrees, greeting, mean, models, person, run, servers, tell, tellingFetch, weatherParameters } from './checks.mjs';

const version = Number(process.argv[2]);
const load = version < 6 ? (await import('./zod3/load.mjs')).load : async name => ({ sdk: await import(name), helpers: await import(`${name}/helpers/zod`), z: (await import('zod')).z });
const { sdk, helpers, z } = await load(version === 7 ? 'openai' : `openai${version}`);
const OpenAI = sdk.default;

const client = (baseURL, more) => new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0, ...more });
/** Helpers that version 4 keeps apart. */
const helping = c => version === 4 ? c.beta.chat.completions : c.chat.completions;
const embedded = client(servers.embedded), scripted = client(servers.scripted);
const ask = content => [{ role: 'user', content }];
const weather = { type: 'function', function: { name: 'get_weather', description: 'Weather of a city', parameters: weatherParameters } };
const averaging = { type: 'function', function: { name: 'average', description: 'Average of numbers', parameters: averageParameters } };
const Person = z.object({ name: z.string(), age: z.number(), email: z.string().email(), skills: z.array(z.string()).max(3) });

await run({
  async models() {
    const list = await embedded.models.list();
    assert.deepEqual(list.data.map(m => m.id), [models.embedded]);
    assert.equal((await scripted.models.retrieve(models.scripted)).id, models.scripted);
    await assert.rejects(embedded.models.retrieve('nothing'), e => e instanceof sdk.NotFoundError && e.code === 'model_not_found');
  },

  async 'chat, streamed and not, are the same'() {
    for (const [c, model, max_tokens] of [[embedded, models.embedded, 60], [scripted, models.scripted, 60]]) {
      const messages = ask('Hello! What can you do?');
      const whole = await c.chat.completions.create({ model, messages, temperature: 0, max_tokens });
      assert.ok(whole.choices[0].message.content.length > 0);
      if (c === scripted) assert.equal(whole.choices[0].message.content, greeting);
      assert.ok(whole._request_id);
      assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
      const stream = await c.chat.completions.create({ model, messages, temperature: 0, max_tokens, stream: true, stream_options: { include_usage: true } });
      let text = '', usage = null, finish = null;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta?.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, whole.choices[0].message.content);
      assert.equal(finish, whole.choices[0].finish_reason);
      assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
      const helper = helping(c).stream({ model, messages, temperature: 0, max_tokens });
      assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);
      // A loop that has never heard of usage chunks.
      for await (const chunk of await c.chat.completions.create({ model, messages, max_tokens: 3, stream: true })) assert.ok(chunk.choices[0].delta);
    }
  },

  async 'completions with echo and log-probs'() {
    const { choices: [choice] } = await embedded.completions.create({ model: models.embedded, prompt: 'Hello', max_tokens: 5, logprobs: 2, echo: true, temperature: 0 });
    assert.ok(choice.text.startsWith('Hello'));
    assert.equal(choice.logprobs.token_logprobs[0], null);
    assert.equal(choice.logprobs.tokens.length, choice.logprobs.text_offset.length);
    let text = '';
    for await (const chunk of await embedded.completions.create({ model: models.embedded, prompt: 'Hello', max_tokens: 5, stream: true, temperature: 0 })) text += chunk.choices[0].text;
    assert.equal(`Hello${text}`, choice.text);
  },

  async 'log-probs, whole and streamed'() {
    const request = { model: models.embedded, messages: ask('What is 47 + 38?'), temperature: 0, logprobs: true, top_logprobs: 3, max_tokens: 12 };
    const { choices: [choice] } = await embedded.chat.completions.create(request);
    assert.ok(choice.logprobs.content.every(t => t.top_logprobs.length === 3 && t.logprob <= 0));
    const bytes = Buffer.from(choice.logprobs.content.flatMap(t => t.bytes));
    assert.equal(bytes.toString('utf8'), choice.message.content);
    const streamed = await helping(embedded).stream(request).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].logprobs.content.map(t => t.token), choice.logprobs.content.map(t => t.token));
  },

  async 'tools that are demanded'() {
    for (const tool_choice of ['required', { type: 'function', function: { name: 'average' } }]) {
      const request = { model: models.embedded, messages: ask('Hello there!'), tools: [weather, averaging], tool_choice, parallel_tool_calls: false, max_tokens: 300, seed: 3 };
      for (const { choices: [choice] } of [await embedded.chat.completions.create(request), await helping(embedded).stream(request).finalChatCompletion()]) {
        assert.equal(choice.finish_reason, 'tool_calls');
        assert.equal(choice.message.tool_calls.length, 1);
        const { name, arguments: text } = choice.message.tool_calls[0].function;
        if (tool_choice !== 'required') assert.equal(name, 'average');
        assert.ok(name === 'average' ? Array.isArray(JSON.parse(text).values) : typeof JSON.parse(text).city === 'string');
      }
    }
    const none = await embedded.chat.completions.create({ model: models.embedded, messages: ask('What is the weather in Lisbon?'), tools: [weather], tool_choice: 'none', max_tokens: 40 });
    assert.equal(none.choices[0].message.tool_calls, undefined);
  },

  async 'parallel calls and a loop of several steps'() {
    const messages = ask('What is the average of the temperatures in Paris and Rome?');
    const request = { model: models.scripted, messages, tools: [weather, averaging] };
    const whole = await scripted.chat.completions.create(request);
    assert.equal(whole.choices[0].finish_reason, 'tool_calls');
    assert.deepEqual(whole.choices[0].message.tool_calls.map(c => JSON.parse(c.function.arguments)), [{ city: 'Paris' }, { city: 'Rome' }]);
    const streamed = await helping(scripted).stream(request).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.tool_calls.map(c => c.function.arguments), whole.choices[0].message.tool_calls.map(c => c.function.arguments));
    const one = await scripted.chat.completions.create({ ...request, parallel_tool_calls: false });
    assert.equal(one.choices[0].message.tool_calls.length, 1);
    for (const stream of [false, true]) {
      const asked = [];
      const runner = helping(scripted).runTools({
        model: models.scripted, messages, stream,
        tools: [
          { type: 'function', function: { ...weather.function, parse: JSON.parse, function: ({ city }) => { asked.push(city); return `${degrees[city]} degrees`; } } },
          { type: 'function', function: { ...averaging.function, parse: JSON.parse, function: ({ values }) => { asked.push(values); return String(mean(values)); } } },
        ],
      });
      assert.equal(await runner.finalContent(), average);
      assert.deepEqual(asked, ['Paris', 'Rome', [21, 25]]);
    }
  },

  async 'a loop with the real model'() {
    const asked = [];
    const answer = await helping(embedded).runTools({
      model: models.embedded, temperature: 0, max_tokens: 100, messages: ask('What is the weather in Lisbon?'),
      tools: [{ type: 'function', function: { ...weather.function, parse: JSON.parse, function: ({ city }) => { asked.push(city); return '{"temperature": 21, "sky": "clear"}'; } } }],
    }).finalContent();
    assert.deepEqual(asked, ['Lisbon']);
    assert.ok(answer.length > 0);
  },

  async 'structured output with zod'() {
    const response_format = helpers.zodResponseFormat(Person, 'person');
    const request = { messages: ask('Describe Ada as JSON.'), response_format };
    const parsed = await helping(scripted).parse({ model: models.scripted, ...request });
    assert.deepEqual(parsed.choices[0].message.parsed, person);
    const streamed = await helping(scripted).stream({ model: models.scripted, ...request }).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, person);

    // A model that was never taught the schema keeps it all the same.
    const Order = z.object({ size: z.enum(['small', 'large']), count: z.number().int().min(1).max(9), gift: z.boolean(), note: z.enum(['none', 'call first']).nullable() });
    for (const seed of [1, 2]) {
      const { choices: [choice] } = await helping(embedded).parse({ model: models.embedded, messages: ask('Two large boxes.'), response_format: helpers.zodResponseFormat(Order, 'order'), temperature: 1.5, seed, max_tokens: 200 });
      assert.equal(choice.finish_reason, 'stop');
      assert.equal(Order.safeParse(choice.message.parsed).success, true);
    }

    const tool = helpers.zodFunction({ name: 'average', parameters: z.object({ values: z.array(z.number().int()).min(1).max(4) }) });
    const called = await helping(embedded).parse({ model: models.embedded, messages: ask('Hello'), tools: [tool], tool_choice: 'required', parallel_tool_calls: false, seed: 2, max_tokens: 300 });
    assert.ok(called.choices[0].message.tool_calls[0].function.parsed_arguments.values.length >= 1);
  },

  async 'errors by class'() {
    const bad = { model: models.scripted, messages: ask('x'), temperature: 9 };
    for (const more of [{}, { stream: true }])
      await assert.rejects(scripted.chat.completions.create({ ...bad, ...more }),
        e => e instanceof sdk.BadRequestError && e.status === 400 && e.param === 'temperature' && e.code === 'decimal_above_max_value' && e.type === 'invalid_request_error' && (e.requestID ?? e.request_id) !== undefined);
    await assert.rejects(scripted.chat.completions.create({ model: 'nothing', messages: ask('x') }), e => e instanceof sdk.NotFoundError && e.code === 'model_not_found');
    await assert.rejects(client(servers.scripted, { apiKey: 'wrong' }).models.list(), e => e instanceof sdk.AuthenticationError && e.code === 'invalid_api_key');
    await assert.rejects(scripted.chat.completions.create({ model: models.scripted, messages: ask('word '.repeat(3000)) }),
      e => e instanceof sdk.BadRequestError && e.code === 'context_length_exceeded' && /maximum context length is 2048 tokens/.test(e.message));
    await assert.rejects(scripted.post('/nowhere', { body: {} }), e => e instanceof sdk.NotFoundError && e.code === 'unknown_url');
    await assert.rejects(scripted.chat.completions.create({ model: models.scripted, messages: ask('x'), response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object', properties: { a: { not: {} } } } } } }),
      e => e instanceof sdk.BadRequestError && e.param.endsWith('properties.a'));
    // An answer that was cut is told by the parse helpers.
    await assert.rejects(helping(scripted).parse({ model: models.scripted, messages: ask('Describe Ada as JSON.'), response_format: helpers.zodResponseFormat(Person, 'person'), max_tokens: 4 }), /length limit was reached/);
  },

  async 'abort and time out'() {
    const endless = { model: models.scripted, messages: ask('Count for ever.') };
    const stream = await scripted.chat.completions.create({ ...endless, stream: true });
    let chunks = 0;
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      if (++chunks === 3) stream.controller.abort();
    }
    const controller = new AbortController();
    const whole = scripted.chat.completions.create(endless, { signal: controller.signal });
    controller.abort();
    await assert.rejects(whole, sdk.APIUserAbortError);
    const helper = helping(scripted).stream(endless);
    helper.on('chunk', () => helper.abort());
    await assert.rejects(helper.done(), sdk.APIUserAbortError);
    await assert.rejects(scripted.chat.completions.create(endless, { timeout: 100 }), sdk.APIConnectionTimeoutError);
  },

  async retries() {
    await tell('fill');
    const full = client(servers.full, { maxRetries: 2, fetch: tellingFetch });
    await assert.rejects(client(servers.full).chat.completions.create({ model: models.scripted, messages: ask('x') }), e => e instanceof sdk.RateLimitError && e.code === 'rate_limit_exceeded');
    assert.equal((await full.chat.completions.create({ model: models.scripted, messages: ask('x'), max_tokens: 3 })).choices[0].finish_reason, 'length');
    await assert.rejects(client(servers.loading).models.list(), e => e instanceof sdk.InternalServerError && e.status === 503);
    const loading = client(servers.loading, { maxRetries: 3, fetch: tellingFetch });
    assert.equal((await loading.chat.completions.create({ model: models.scripted, messages: ask('x') })).choices[0].message.content, greeting);
  },
});
