// LangChain's ChatOpenAI.
import assert from 'node:assert/strict';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAI } from '@langchain/openai';
import { z } from 'zod';
import { average, degrees, greeting, mean, models, person, run, servers, tell, tellingFetch } from './checks.mjs';

const chat = (baseURL, model, more = {}, configuration = {}) => new ChatOpenAI({ model, apiKey: 'key', maxRetries: 0, ...more, configuration: { baseURL, ...configuration } });
const embedded = chat(servers.embedded, models.embedded, { temperature: 0, maxTokens: 60 }), scripted = chat(servers.scripted, models.scripted);
const Person = z.object({ name: z.string(), age: z.number(), email: z.string(), skills: z.array(z.string()).max(3) });
const asked = [];
const tools = [
  tool(({ city }) => { asked.push(city); return `${degrees[city] ?? 19} degrees`; }, { name: 'get_weather', description: 'Weather of a city', schema: z.object({ city: z.string() }) }),
  tool(({ values }) => { asked.push(values); return String(mean(values)); }, { name: 'average', description: 'Average of numbers', schema: z.object({ values: z.array(z.number()) }) }),
];

await run({
  async chat() {
    const answer = await scripted.invoke('Hi');
    assert.equal(answer.content, greeting);
    assert.equal(answer.response_metadata.finish_reason, 'stop');
    assert.equal(answer.usage_metadata.total_tokens, answer.usage_metadata.input_tokens + answer.usage_metadata.output_tokens);
    for (const model of [scripted, embedded]) {
      const whole = await model.invoke('Hello! What can you do?');
      let streamed;
      for await (const chunk of await model.stream('Hello! What can you do?')) streamed = streamed ? streamed.concat(chunk) : chunk;
      assert.equal(streamed.content, whole.content);
      // It joins what comes twice: "stopstop".
      assert.equal(streamed.response_metadata.finish_reason, whole.response_metadata.finish_reason);
      assert.equal(streamed.usage_metadata.output_tokens, whole.usage_metadata.output_tokens);
    }
    const batch = await scripted.batch(['a', 'b', 'c']);
    assert.deepEqual(batch.map(m => m.content), [greeting, greeting, greeting]);
  },

  async 'log-probs'() {
    const answer = await chat(servers.embedded, models.embedded, { temperature: 0, maxTokens: 8, logprobs: true, topLogprobs: 2 }).invoke('Hello');
    assert.ok(answer.response_metadata.logprobs.content.every(t => t.top_logprobs.length === 2));
  },

  async completions() {
    const text = await new OpenAI({ model: models.embedded, apiKey: 'key', temperature: 0, maxTokens: 8, configuration: { baseURL: servers.embedded } }).invoke('Hello');
    assert.equal(typeof text, 'string');
  },

  async 'tools that are demanded'() {
    const model = chat(servers.embedded, models.embedded, { maxTokens: 300 });
    for (const tool_choice of ['required', 'average']) {
      const answer = await model.bindTools(tools, { tool_choice, parallel_tool_calls: false, seed: 3 }).invoke('Hello');
      assert.equal(answer.tool_calls.length, 1);
      if (tool_choice === 'average') assert.equal(answer.tool_calls[0].name, 'average');
      assert.equal(answer.invalid_tool_calls.length, 0);
    }
  },

  async 'a loop of several steps, streamed'() {
    asked.length = 0;
    const bound = scripted.bindTools(tools);
    const messages = [new HumanMessage('What is the average of the temperatures in Paris and Rome?')];
    for (let step = 0; step < 5; step++) {
      let answer;
      for await (const chunk of await bound.stream(messages)) answer = answer ? answer.concat(chunk) : chunk;
      messages.push(answer);
      if (answer.tool_calls.length === 0) break;
      for (const call of answer.tool_calls) messages.push(await tools.find(t => t.name === call.name).invoke(call));
    }
    assert.equal(messages.at(-1).content, average);
    assert.deepEqual(asked, ['Paris', 'Rome', [21, 25]]);
    assert.equal(messages.filter(m => ToolMessage.isInstance(m)).length, 3);
  },

  async 'structured output with zod'() {
    for (const method of ['jsonSchema', 'jsonMode'])
      assert.deepEqual(await scripted.withStructuredOutput(Person, { name: 'person', method }).invoke('Describe Ada as JSON.'), person);
    const Order = z.object({ size: z.enum(['small', 'large']), count: z.number().int().min(1).max(9), gift: z.boolean() });
    for (const method of ['jsonSchema', 'functionCalling'])
      assert.ok(Order.safeParse(await chat(servers.embedded, models.embedded, { temperature: 1.5, maxTokens: 200 }).withStructuredOutput(Order, { name: 'order', method }).invoke('Two large boxes.')).success);
  },

  async errors() {
    await assert.rejects(chat(servers.scripted, models.scripted, { temperature: 9 }).invoke('x'), e => e.status === 400 && e.param === 'temperature' && e.code === 'decimal_above_max_value');
    await assert.rejects(chat(servers.scripted, models.scripted, { apiKey: 'wrong' }).invoke('x'), e => e.status === 401);
    await assert.rejects(chat(servers.scripted, 'nothing').invoke('x'), e => e.status === 404);
  },

  async abort() {
    const controller = new AbortController();
    let chunks = 0;
    await assert.rejects(async () => {
      for await (const chunk of await scripted.stream('Count for ever.', { signal: controller.signal })) {
        assert.ok(chunk);
        if (++chunks === 3) controller.abort();
      }
    });
    assert.equal(chunks < 100, true);
  },

  async retries() {
    await tell('fill');
    assert.equal((await chat(servers.full, models.scripted, { maxRetries: 3, maxTokens: 3 }, { fetch: tellingFetch }).invoke('x')).response_metadata.finish_reason, 'length');
    assert.equal((await chat(servers.loading, models.scripted, { maxRetries: 3 }, { fetch: tellingFetch }).invoke('x')).content, greeting);
  },
});
