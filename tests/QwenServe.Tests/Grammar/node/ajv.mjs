import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** A function that says whether a value is an instance. */
export function validator(schema) {
  const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
  addFormats(ajv, { mode: 'full' });
  const validate = ajv.compile(schema);
  return value => validate(value) === true;
}
