// First things to try; each works with the embedded model.

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather', description: 'Current weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string', description: 'Name of the city' } }, required: ['city'] },
    },
  },
  {
    type: 'function',
    function: {
      name: 'convert_currency', description: 'Convert an amount of money',
      parameters: {
        type: 'object',
        properties: { amount: { type: 'number' }, from: { type: 'string', description: 'ISO code' }, to: { type: 'string', description: 'ISO code' } },
        required: ['amount', 'from', 'to'],
      },
    },
  },
];

const schema = {
  type: 'object',
  properties: { name: { type: 'string' }, city: { type: 'string' }, age: { type: 'integer', minimum: 0 } },
  required: ['name', 'city', 'age'],
  additionalProperties: false,
};

export const ExampleTools = JSON.stringify(tools, null, 2);
export const ExampleSchema = JSON.stringify(schema, null, 2);

/** What each shows, what it says, and the settings it needs beside the plain ones. */
export const Examples = [
  { shows: 'Chat', prompt: 'Hello! What can you do?' },
  { shows: 'Tools', prompt: 'What is the weather in Lisbon and in Oslo?', settings: { toolsOn: true, tools: ExampleTools, toolChoice: 'auto', parallel: true } },
  { shows: 'JSON schema', prompt: 'Extract name, city and age as JSON: I am Ada Grant, 36, and I live in Bergen.', settings: { format: 'json_schema', schema: ExampleSchema } },
  { shows: 'Probabilities', prompt: 'Extract city as JSON: I flew from Oslo to Lisbon.', settings: { logprobs: true } },
  { shows: '中文', prompt: '你会做什么？' },
];

export const Plain = { toolsOn: false, format: 'text', logprobs: false };

/** A result to go on with when there is no function behind a call. */
export function simulate(call) {
  let given = {};
  try { given = JSON.parse(call.arguments); } catch { /* The result does not depend on it then. */ }
  switch (call.name) {
    case 'get_weather': {
      const letters = [...String(given?.city ?? '')].reduce((sum, c) => sum + c.codePointAt(0), 0);
      return JSON.stringify({ temperature: 8 + letters % 18, condition: ['sunny', 'cloudy', 'rainy', 'windy'][letters % 4] });
    }
    case 'convert_currency':
      return JSON.stringify({ amount: Math.round(Number(given?.amount ?? 0) * 118) / 100, currency: String(given?.to ?? '') });
    default:
      return JSON.stringify({ status: 'ok' });
  }
}
