// Lines of {schema, texts} in, lines of booleans out: whether each text is JSON and an instance of the schema.
import { createInterface } from 'node:readline';
import { validator } from './ajv.mjs';

for await (const line of createInterface({ input: process.stdin })) {
  const { schema, texts } = JSON.parse(line);
  const isValid = validator(schema);
  console.log(JSON.stringify(texts.map(text => {
    try {
      return isValid(JSON.parse(text));
    } catch {
      return false;
    }
  })));
}
