// The Responses API with the OpenAI SDK, versions 6 and 7, and the Agents SDK over it: node responses.mjs VERSION.
import assert from 'node:assert/strict';
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import AgentsOpenAI from 'openai';
import { z } from 'zod';
import { average, averageParameters, degrees, greeting, mean, models, person, run, servers, tell, tellingFetch, weatherParameters } from './checks.mjs';

const name = process.argv[2] === '7' ? 'openai' : `openai${process.argv[2]}`;
const sdk = await import(name);
const { zodTextFormat, zodResponsesFunction } = await import(`${name}/helpers/zod`);
const OpenAI = sdk.default;

const client = (baseURL, more) => new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0, ...more });
const embedded = client(servers.embedded), scripted = client(servers.scripted);
const weather = { type: 'function', name: 'get_weather', description: 'Weather of a city', parameters: weatherParameters, strict: true };
const averaging = { type: 'function', name: 'average', description: 'Average of numbers', parameters: averageParameters, strict: true };
const question = 'What is the average of the temperatures in Paris and Rome?';
const Person = z.object({ name: z.string(), age: z.number(), email: z.string(), skills: z.array(z.string()).max(3) });
const results = output => output.filter(item => item.type === 'function_call').map(call => {
  const given = JSON.parse(call.arguments);
  return { type: 'function_call_output', call_id: call.call_id, output: call.name === 'average' ? String(mean(given.values)) : `${degrees[given.city]} degrees` };
});

setTracingDisabled(true);
const runner = baseURL => new Runner({ modelProvider: new OpenAIProvider({ openAIClient: new AgentsOpenAI({ baseURL, apiKey: 'key', maxRetries: 0 }), useResponses: true }) });
const asked = [];
const tools = [
  tool({ name: 'get_weather', description: 'Weather of a city', parameters: z.object({ city: z.string() }), execute: async ({ city }) => { asked.push(city); return `${degrees[city] ?? 19} degrees`; } }),
  tool({ name: 'average', description: 'Average of numbers', parameters: z.object({ values: z.array(z.number()) }), execute: async ({ values }) => { asked.push(values); return String(mean(values)); } }),
];
const agent = (model, more = {}) => new Agent({ name: 'helper', instructions: 'You help.', model, ...more });

await run({
  async 'text, streamed and not, is the same'() {
    for (const [c, model] of [[embedded, models.embedded], [scripted, models.scripted]]) {
      const params = { model, input: 'Hello! What can you do?', temperature: 0, max_output_tokens: 60 };
      const whole = await c.responses.create(params);
      assert.ok(whole.output_text.length > 0);
      if (c === scripted) assert.equal(whole.output_text, greeting);
      assert.ok(whole._request_id);
      assert.equal(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens);
      let text = '', number = 0, last;
      for await (const event of await c.responses.create({ ...params, stream: true })) {
        assert.equal(event.sequence_number, number++);
        if (event.type === 'response.output_text.delta') text += event.delta;
        last = event;
      }
      assert.equal(text, whole.output_text);
      assert.equal(last.type, `response.${whole.status}`);
      assert.equal(last.response.usage.output_tokens, whole.usage.output_tokens);
      const final = await c.responses.stream(params).finalResponse();
      assert.equal(final.output_text, text);
      assert.deepEqual(final.output.map(i => [i.type, i.status]), last.response.output.map(i => [i.type, i.status]));
    }
  },

  async 'log-probs'() {
    const params = { model: models.scripted, input: 'Hi', include: ['message.output_text.logprobs'], top_logprobs: 2 };
    const [part] = (await scripted.responses.create(params)).output[0].content;
    assert.equal(Buffer.from(part.logprobs.flatMap(t => t.bytes)).toString(), part.text);
    assert.ok(part.logprobs.every(t => t.top_logprobs.length === 2));
    const streamed = await scripted.responses.stream(params).finalResponse();
    assert.deepEqual(streamed.output[0].content[0].logprobs, part.logprobs);
  },

  async 'a loop of several steps, continued by id or by items, streamed and not'() {
    const params = { model: models.scripted, tools: [weather, averaging] };
    const send = (stream, more) => stream ? scripted.responses.stream({ ...params, ...more }).finalResponse() : scripted.responses.create({ ...params, ...more });
    for (const stream of [false, true]) {
      let response = await send(stream, { input: question });
      assert.deepEqual(response.output.map(c => [c.type, c.name, JSON.parse(c.arguments)]), [['function_call', 'get_weather', { city: 'Paris' }], ['function_call', 'get_weather', { city: 'Rome' }]]);
      response = await send(stream, { input: results(response.output), previous_response_id: response.id });
      assert.deepEqual(response.output.map(c => [c.name, JSON.parse(c.arguments)]), [['average', { values: [21, 25] }]]);
      response = await send(stream, { input: results(response.output), previous_response_id: response.id });
      assert.equal(response.output_text, average);

      const input = [{ role: 'user', content: question }];
      for (let step = 0; step < 3; step++) {
        response = await send(stream, { input, store: false });
        input.push(...response.output, ...results(response.output));
      }
      assert.equal(response.output_text, average);
      assert.equal(response.store, false);
    }
  },

  async 'a demanded call of the embedded model'() {
    for (const tool_choice of ['required', { type: 'function', name: 'average' }, { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'average' }] }]) {
      const response = await embedded.responses.create({ model: models.embedded, input: 'Hello', tools: [weather, averaging], tool_choice, parallel_tool_calls: false, max_output_tokens: 300 });
      const [call] = response.output;
      if (response.status === 'incomplete') continue;
      assert.equal(response.output.length, 1);
      if (tool_choice !== 'required') assert.equal(call.name, 'average');
      const given = JSON.parse(call.arguments);
      assert.ok(call.name === 'average' ? given.values.every(v => typeof v === 'number') : typeof given.city === 'string');
    }
  },

  async 'structured output and functions with zod'() {
    const params = { model: models.scripted, input: 'Describe Ada as JSON.', text: { format: zodTextFormat(Person, 'person') } };
    assert.deepEqual((await scripted.responses.parse(params)).output_parsed, person);
    assert.deepEqual((await scripted.responses.stream(params).finalResponse()).output_parsed, person);
    const parsed = await scripted.responses.parse({ model: models.scripted, input: question, tools: [zodResponsesFunction({ name: 'get_weather', parameters: z.object({ city: z.string() }) })] });
    assert.deepEqual(parsed.output.map(c => c.parsed_arguments), [{ city: 'Paris' }, { city: 'Rome' }]);
    const free = await embedded.responses.parse({ model: models.embedded, input: 'Hello', text: { format: zodTextFormat(z.object({ colour: z.enum(['red', 'green']), size: z.number().int().min(1).max(9) }), 'thing') }, max_output_tokens: 100 });
    assert.ok(['red', 'green'].includes(free.output_parsed.colour));
  },

  async 'what is stored'() {
    const first = await scripted.responses.create({ model: models.scripted, input: 'Hi', metadata: { topic: 'greeting' } });
    const kept = await scripted.responses.retrieve(first.id);
    assert.deepEqual(kept.output, first.output);
    assert.deepEqual(kept.metadata, { topic: 'greeting' });
    const types = [];
    for await (const event of await scripted.responses.retrieve(first.id, { stream: true })) types.push(event.type);
    assert.equal(types[0], 'response.created');
    assert.equal(types.at(-1), 'response.completed');
    assert.equal((await scripted.responses.stream({ response_id: first.id, starting_after: 2 }).finalResponse()).output_text, greeting);
    const second = await scripted.responses.create({ model: models.scripted, input: 'And again', previous_response_id: first.id });
    const items = [];
    for await (const item of scripted.responses.inputItems.list(second.id, { limit: 1, order: 'asc' })) items.push(item);
    assert.deepEqual(items.map(i => i.content[0].text), ['Hi', greeting, 'And again']);
    await assert.rejects(scripted.responses.cancel(first.id), e => e instanceof sdk.BadRequestError);
    await scripted.responses.delete(first.id);
    await assert.rejects(scripted.responses.retrieve(first.id), e => e instanceof sdk.NotFoundError);
    await assert.rejects(scripted.responses.create({ model: models.scripted, input: 'x', previous_response_id: first.id }), e => e instanceof sdk.BadRequestError && e.code === 'previous_response_not_found');
  },

  async 'an answer that is cut'() {
    for (const stream of [false, true]) {
      const params = { model: models.scripted, input: 'Count for ever', max_output_tokens: 5 };
      const response = stream ? await scripted.responses.stream(params).finalResponse() : await scripted.responses.create(params);
      assert.equal(response.status, 'incomplete');
      assert.equal(response.incomplete_details.reason, 'max_output_tokens');
      assert.equal(response.usage.output_tokens, 5);
    }
  },

  async errors() {
    const params = { model: models.scripted, input: 'x' };
    await assert.rejects(scripted.responses.create({ ...params, temperature: 9 }), e => e instanceof sdk.BadRequestError && e.param === 'temperature' && e.requestID !== undefined);
    await assert.rejects(scripted.responses.create({ ...params, stream: true, tools: [{ type: 'web_search' }] }), e => e instanceof sdk.BadRequestError && e.message.includes('web_search'));
    await assert.rejects(scripted.responses.create({ ...params, model: 'nothing' }), e => e instanceof sdk.NotFoundError && e.code === 'model_not_found');
    await assert.rejects(client(servers.scripted, { apiKey: 'wrong' }).responses.create(params), e => e instanceof sdk.AuthenticationError);
    const stream = await scripted.responses.create({ ...params, input: 'Count for ever', stream: true });
    for await (const event of stream) if (event.type === 'response.output_text.delta') stream.controller.abort();
  },

  async 'the Agents SDK: chat, streamed and not'() {
    const scriptedRun = runner(servers.scripted);
    assert.equal((await scriptedRun.run(agent(models.scripted), 'Hi')).finalOutput, greeting);
    const result = await scriptedRun.run(agent(models.scripted), 'Hi', { stream: true });
    let text = '';
    for await (const piece of result.toTextStream()) text += piece;
    await result.completed;
    assert.equal(text, greeting);
    assert.ok(result.runContext.usage.totalTokens > 0);
  },

  async 'the Agents SDK: a loop of several steps, a hand-over, a type'() {
    const scriptedRun = runner(servers.scripted);
    for (const more of [{}, { stream: true }]) {
      asked.length = 0;
      const result = await scriptedRun.run(agent(models.scripted, { tools }), question, more);
      if (more.stream) await result.completed;
      assert.equal(result.finalOutput, average);
      assert.deepEqual(asked, ['Paris', 'Rome', [21, 25]]);
    }
    const expert = agent(models.scripted, { name: 'expert', instructions: 'You are the expert.' });
    const handed = await scriptedRun.run(agent(models.scripted, { name: 'triage', instructions: 'Hand over.', handoffs: [expert] }), 'Hi');
    assert.equal(handed.lastAgent.name, 'expert');
    assert.equal(handed.finalOutput, greeting);
    assert.deepEqual((await scriptedRun.run(agent(models.scripted, { outputType: Person }), 'Describe Ada as JSON.')).finalOutput, person);
    const first = await scriptedRun.run(agent(models.scripted), 'Hi');
    const second = await scriptedRun.run(agent(models.scripted), 'And again', { previousResponseId: first.lastResponseId });
    assert.equal(second.finalOutput, greeting);
  },

  async 'a full queue and a loading server are tried again'() {
    await tell('fill');
    const patient = { maxRetries: 4, fetch: tellingFetch };
    assert.equal((await client(servers.full, patient).responses.create({ model: models.scripted, input: 'Hi' })).output_text, greeting);
    assert.equal((await client(servers.loading, patient).responses.create({ model: models.scripted, input: 'Hi' })).output_text, greeting);
  },
});
