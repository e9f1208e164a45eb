// Checks a value against a JSON schema, for the mark beside an answer. The server enforces the schema; this is the second opinion.

/** @returns {string[]} What is wrong, each with its place; empty when the value fits. */
export function check(schema, value) {
  const problems = [];
  visit(schema, value, '', { root: schema, problems, depth: 0 });
  return problems;
}

function visit(schema, value, path, context) {
  const fail = text => { if (context.problems.length < 20) context.problems.push(`${path || 'the answer'} ${text}`); };
  if (schema === true || schema === undefined) return;
  if (schema === false) return fail('is not allowed');
  if (context.depth > 200) return;
  const deeper = { ...context, depth: context.depth + 1 };
  if (schema.$ref !== undefined) {
    const target = resolve(context.root, schema.$ref);
    if (target === undefined) fail(`refers to ${schema.$ref}, which is not there`);
    else visit(target, value, path, deeper);
  }
  if (schema.type !== undefined && ![schema.type].flat().some(type => is(type, value))) return fail(`is ${kind(value)}, not ${[schema.type].flat().join(' or ')}`);
  if (schema.enum && !schema.enum.some(e => same(e, value))) fail(`is none of ${schema.enum.map(e => JSON.stringify(e)).join(', ')}`);
  if (schema.const !== undefined && !same(schema.const, value)) fail(`is not ${JSON.stringify(schema.const)}`);
  if (typeof value === 'number') {
    if (value < schema.minimum) fail(`is less than ${schema.minimum}`);
    if (value > schema.maximum) fail(`is more than ${schema.maximum}`);
    if (value <= schema.exclusiveMinimum) fail(`is not more than ${schema.exclusiveMinimum}`);
    if (value >= schema.exclusiveMaximum) fail(`is not less than ${schema.exclusiveMaximum}`);
    if (schema.multipleOf > 0 && Math.abs(value / schema.multipleOf - Math.round(value / schema.multipleOf)) > 1e-9) fail(`is no multiple of ${schema.multipleOf}`);
  }
  if (typeof value === 'string') {
    const length = [...value].length;
    if (length < schema.minLength) fail(`is shorter than ${schema.minLength}`);
    if (length > schema.maxLength) fail(`is longer than ${schema.maxLength}`);
    if (schema.pattern !== undefined && expression(schema.pattern)?.test(value) === false) fail(`does not match ${schema.pattern}`);
  }
  if (Array.isArray(value)) {
    if (value.length < schema.minItems) fail(`has fewer than ${schema.minItems} items`);
    if (value.length > schema.maxItems) fail(`has more than ${schema.maxItems} items`);
    if (schema.uniqueItems && value.some((a, i) => value.slice(i + 1).some(b => same(a, b)))) fail('has an item twice');
    const first = schema.prefixItems ?? [];
    value.forEach((item, i) => visit(i < first.length ? first[i] : schema.items, item, `${path}[${i}]`, deeper));
  } else if (value !== null && typeof value === 'object') {
    const names = Object.keys(value);
    if (names.length < schema.minProperties) fail(`has fewer than ${schema.minProperties} properties`);
    if (names.length > schema.maxProperties) fail(`has more than ${schema.maxProperties} properties`);
    for (const name of schema.required ?? []) if (!Object.hasOwn(value, name)) fail(`lacks ${JSON.stringify(name)}`);
    for (const name of names) {
      const inner = path ? `${path}.${name}` : name;
      let known = false;
      if (Object.hasOwn(schema.properties ?? {}, name)) {
        known = true;
        visit(schema.properties[name], value[name], inner, deeper);
      }
      for (const [pattern, of] of Object.entries(schema.patternProperties ?? {})) {
        if (!expression(pattern)?.test(name)) continue;
        known = true;
        visit(of, value[name], inner, deeper);
      }
      if (!known && schema.additionalProperties === false) fail(`has ${JSON.stringify(name)}, which the schema does not know`);
      else if (!known) visit(schema.additionalProperties, value[name], inner, deeper);
    }
  }
  const fits = branch => {
    const problems = [];
    visit(branch, value, path, { ...deeper, problems });
    return problems.length === 0;
  };
  for (const branch of schema.allOf ?? []) visit(branch, value, path, deeper);
  if (schema.anyOf && !schema.anyOf.some(fits)) fail('fits none of anyOf');
  if (schema.oneOf && schema.oneOf.filter(fits).length !== 1) fail('does not fit exactly one of oneOf');
  if (schema.not !== undefined && fits(schema.not)) fail('fits what it must not');
}

function is(type, value) {
  switch (type) {
    case 'integer': return Number.isInteger(value);
    case 'array': return Array.isArray(value);
    case 'null': return value === null;
    case 'object': return value !== null && typeof value === 'object' && !Array.isArray(value);
    default: return typeof value === type;
  }
}

const kind = value => (value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`);

function same(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every(key => Object.hasOwn(b, key) && same(a[key], b[key]));
}

function expression(pattern) {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return null;
  }
}

function resolve(root, reference) {
  if (!reference.startsWith('#')) return undefined;
  return reference.slice(1).split('/').filter(Boolean)
    .reduce((node, part) => node?.[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')], root);
}
