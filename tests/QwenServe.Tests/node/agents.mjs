// The OpenAI Agents SDK, over chat completions.
import assert from 'node:assert/strict';
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import { average, degrees, greeting, mean, models, person, run, servers, tell, tellingFetch } from './checks.mjs';

setTracingDisabled(true);
const runner = (baseURL, more) => new Runner({ modelProvider: new OpenAIProvider({ openAIClient: new OpenAI({ baseURL, apiKey: 'key', maxRetries: 0, ...more }), useResponses: false }) });
const embedded = runner(servers.embedded), scripted = runner(servers.scripted);
const asked = [];
const tools = [
  tool({ name: 'get_weather', description: 'Weather of a city', parameters: z.object({ city: z.string() }), execute: async ({ city }) => { asked.push(city); return `${degrees[city] ?? 19} degrees`; } }),
  tool({ name: 'average', description: 'Average of numbers', parameters: z.object({ values: z.array(z.number()) }), execute: async ({ values }) => { asked.push(values); return String(mean(values)); } }),
];
const agent = (model, more = {}) => new Agent({ name: 'helper', instructions: 'You help.', model, ...more });

await run({
  async 'chat, streamed and not'() {
    assert.equal((await scripted.run(agent(models.scripted), 'Hi')).finalOutput, greeting);
    const settings = { modelSettings: { temperature: 0, maxTokens: 60 } };
    const whole = await embedded.run(agent(models.embedded, settings), 'Hello! What can you do?');
    const stream = await embedded.run(agent(models.embedded, settings), 'Hello! What can you do?', { stream: true });
    let text = '';
    for await (const piece of stream.toTextStream()) text += piece;
    await stream.completed;
    assert.equal(text, whole.finalOutput);
    assert.ok(whole.runContext.usage.totalTokens > 0);
  },

  async 'a loop of several steps, streamed and not'() {
    for (const stream of [false, true]) {
      asked.length = 0;
      const result = await scripted.run(agent(models.scripted, { tools }), 'What is the average of the temperatures in Paris and Rome?', { stream });
      if (stream) await result.completed;
      assert.equal(result.finalOutput, average);
      assert.deepEqual(asked, ['Paris', 'Rome', [21, 25]]);
    }
  },

  async 'a demanded call'() {
    asked.length = 0;
    await embedded.run(agent(models.embedded, { tools, toolUseBehavior: 'stop_on_first_tool', modelSettings: { toolChoice: 'get_weather', maxTokens: 300, parallelToolCalls: false } }), 'Hello');
    assert.equal(asked.length, 1);
    assert.equal(typeof asked[0], 'string');
  },

  async 'a hand-over to another agent'() {
    const expert = agent(models.scripted, { name: 'expert', instructions: 'You are the expert.' });
    const triage = agent(models.scripted, { name: 'triage', instructions: 'Hand over.', handoffs: [expert] });
    const result = await scripted.run(triage, 'Hi');
    assert.equal(result.lastAgent.name, 'expert');
    assert.equal(result.finalOutput, greeting);
  },

  async 'structured output with zod'() {
    const Person = z.object({ name: z.string(), age: z.number(), email: z.string(), skills: z.array(z.string()).max(3) });
    assert.deepEqual((await scripted.run(agent(models.scripted, { outputType: Person }), 'Describe Ada as JSON.')).finalOutput, person);
  },

  async errors() {
    await assert.rejects(scripted.run(agent(models.scripted, { modelSettings: { temperature: 9 } }), 'x'), e => e.status === 400 && e.param === 'temperature');
    await assert.rejects(scripted.run(agent('nothing'), 'x'), e => e.status === 404 && e.code === 'model_not_found');
  },

  async abort() {
    const controller = new AbortController();
    const running = scripted.run(agent(models.scripted), 'Count for ever.', { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(running);
  },

  async retries() {
    await tell('fill');
    const retrying = { maxRetries: 3, fetch: tellingFetch };
    assert.ok((await runner(servers.full, retrying).run(agent(models.scripted, { modelSettings: { maxTokens: 3 } }), 'x')).finalOutput.length > 0);
    assert.equal((await runner(servers.loading, retrying).run(agent(models.scripted), 'x')).finalOutput, greeting);
  },
});
