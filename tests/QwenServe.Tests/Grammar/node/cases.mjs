// node cases.mjs SEED COUNT: lines of {schema, bounded, valid, invalid}. Schemas are made at random, each around one keyword in turn, together
// with a generator of their instances; instances and mutants of them are sorted by what ajv says, and written with properties in declared order.
import { validator } from './ajv.mjs';

const [seed, count] = process.argv.slice(2).map(Number);
let state = seed >>> 0;
function random() { // mulberry32
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = n => Math.floor(random() * n);
const between = (a, b) => a + below(b - a + 1);
const pick = list => list[below(list.length)];
const chance = p => random() < p;
const times = (n, f) => Array.from({ length: n }, (_, i) => f(i));

const characters = ['a', 'b', 'z', 'A', 'Q', '0', '7', ' ', '-', '_', '"', '\\', '/', '\n', '\t', '{', '}', ':', ',', 'é', 'ß', '漢', '字', '😀', '\u0001', '<', '€'];
const text = (min, max) => times(between(min, max), () => pick(characters)).join('');
const word = () => times(between(1, 6), () => pick([...'abcdefghijklmnop'])).join('');
const digits = n => times(n, () => below(10)).join('');
const hex = n => times(n, () => pick([...'0123456789abcdefABCDEF'])).join('');
const two = n => String(n).padStart(2, '0');

const date = () => `${between(1900, 2100)}-${two(between(1, 12))}-${two(between(1, 28))}`;
const time = () => `${two(below(24))}:${two(below(60))}:${two(below(60))}${chance(0.3) ? '.' + digits(between(1, 6)) : ''}${chance(0.5) ? 'Z' : pick(['+', '-']) + two(below(24)) + ':' + two(below(60))}`;
const host = () => times(between(1, 3), word).join('.');
const formats = {
  'date': [date, true], 'time': [time, true], 'date-time': [() => date() + 'T' + time(), true],
  'duration': [() => pick(['P3D', 'PT20M', 'P1Y2M10DT2H30M', 'P4W', 'PT0.5S', 'PT36H']), false],
  'email': [() => `${word()}.${word()}+${digits(2)}@${word()}.${word()}`, false],
  'hostname': [host, true],
  'ipv4': [() => times(4, () => below(256)).join('.'), true],
  'ipv6': [() => pick([times(8, () => hex(between(1, 4))).join(':'), '::1', '::', `fe80::${hex(4)}`, `${hex(3)}::${hex(2)}:${hex(1)}`, '::ffff:10.0.0.255']), true],
  'uuid': [() => [8, 4, 4, 4, 12].map(hex).join('-'), true],
  'uri': [() => pick([`https://${host()}/${word()}?q=${word()}#${word()}`, `http://${host()}:8080`, `urn:${word()}:${digits(3)}`, `mailto:${word()}@${host()}`]), false],
  'json-pointer': [() => pick(['', '/a/0/~0b~1', `/${word()}`]), false],
};
const patterns = [
  ['^[a-z]{2,5}$', () => times(between(2, 5), () => pick([...'abcxyz'])).join(''), true],
  ['^(foo|bar)+\\d?$', () => times(between(1, 3), () => pick(['foo', 'bar'])).join('') + (chance(0.5) ? below(10) : ''), false],
  ['^[A-Z]{3}-\\d{4}$', () => times(3, () => pick([...'ABZ'])).join('') + '-' + digits(4), true],
  ['ab', () => text(0, 4) + 'ab' + text(0, 4), false],
  ['^#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$', () => (chance(0.5) ? '#' : '') + hex(pick([3, 6])), true],
  ['^[^"\\\\\\s]*$', () => times(below(6), () => pick(['a', 'é', '😀', '/', '0'])).join(''), false],
  ['^\\p{Lu}\\p{Ll}*$', () => pick(['A', 'É', 'Ä']) + times(below(5), () => pick(['a', 'é', 'ß'])).join(''), false],
  ['(^x|y$)', () => chance(0.5) ? 'x' + text(0, 4) : text(0, 4) + 'y', false],
  ['^.{0,8}$', () => times(below(9), () => pick(['a', '"', '\\', '漢', '😀', ' '])).join(''), true],
  ['^\\w+(\\.\\w+)*$', () => times(between(1, 3), word).join('.'), false],
];

// Each maker gives {schema, gen, bounded}; `type` says which JSON types its instances have.
const scalar = {
  string() {
    return { schema: { type: 'string' }, gen: () => text(0, 8), bounded: false, type: 'string' };
  },
  length() {
    const min = below(4), max = min + below(12), both = chance(0.6), least = chance(0.5);
    const schema = { type: 'string' };
    if (both || least) schema.minLength = min;
    if (both || !least) schema.maxLength = max;
    return { schema, gen: () => text(schema.minLength ?? 0, schema.maxLength ?? min + 8), bounded: 'maxLength' in schema, type: 'string' };
  },
  pattern() {
    const [pattern, gen, bounded] = pick(patterns);
    return { schema: { type: 'string', pattern }, gen, bounded, type: 'string' };
  },
  patternLength() {
    const [pattern, gen] = pick(patterns);
    return { schema: { type: 'string', pattern, minLength: 1, maxLength: 12 }, gen, bounded: true, type: 'string' };
  },
  format(name) {
    name ??= pick(Object.keys(formats));
    const [gen, bounded] = formats[name];
    return { schema: { type: 'string', format: name }, gen, bounded, type: 'string' };
  },
  integer() {
    const schema = { type: 'integer' };
    let lo = between(-1200, 1000), hi = lo + between(1, 2000);
    if (chance(0.6)) { if (chance(0.5)) schema.minimum = lo; else schema.exclusiveMinimum = lo++; } else lo = -1e6;
    if (chance(0.6)) { if (chance(0.5)) schema.maximum = hi; else schema.exclusiveMaximum = hi--; } else hi = 1e6;
    return { schema, gen: () => between(lo, Math.max(lo, hi)), bounded: true, type: 'number' };
  },
  multiple() {
    const m = pick([2, 3, 5, 7, 10, 25, 100, 360]);
    const schema = { type: pick(['integer', 'number']), multipleOf: m };
    if (chance(0.4)) schema.minimum = between(-500, 0);
    if (chance(0.4)) schema.maximum = between(1, 5000);
    return { schema, gen: () => m * between(Math.ceil((schema.minimum ?? -900) / m), Math.floor((schema.maximum ?? 9000) / m)), bounded: true, type: 'number' };
  },
  number() {
    const schema = { type: 'number' };
    const lo = between(-3000, 2000) / pick([1, 10, 8, 1000]), hi = lo + between(1, 4000) / pick([1, 10, 8]);
    const from = chance(0.7), to = chance(0.7);
    if (from) schema[pick(['minimum', 'exclusiveMinimum'])] = lo;
    if (to) schema[pick(['maximum', 'exclusiveMaximum'])] = hi;
    const plain = v => from || to ? Number(v.toFixed(pick([0, 1, 3, 10]))) : v * pick([1, 1e-9, 1e30]);
    return { schema, gen: () => plain(lo + random() * (hi - lo)), bounded: true, type: 'number' };
  },
  boolean() {
    return { schema: { type: 'boolean' }, gen: () => chance(0.5), bounded: true, type: 'boolean' };
  },
  null() {
    return { schema: { type: 'null' }, gen: () => null, bounded: true, type: 'null' };
  },
  enum() {
    const values = [...new Set(times(between(1, 5), () => pick([() => text(0, 6), () => between(-99, 99), () => null, () => true, () => below(100) / 8])()))];
    if (chance(0.2)) values.push({ a: [1, 'x'] });
    const schema = { enum: values };
    return { schema, gen: () => pick(values), bounded: true, type: 'any' };
  },
  const() {
    const value = pick([text(0, 6), between(-99, 99), null, false, [1, { a: 'b' }]]);
    return { schema: { const: value }, gen: () => value, bounded: true, type: 'any' };
  },
  nullable() {
    const inner = pick([scalar.length, scalar.integer, scalar.number])();
    return { schema: { ...inner.schema, type: [inner.schema.type, 'null'] }, gen: () => chance(0.3) ? null : inner.gen(), bounded: inner.bounded, type: 'any' };
  },
  nullableKeyword() {
    const inner = pick([scalar.length, scalar.integer, scalar.number])();
    return { schema: { ...inner.schema, nullable: true }, gen: () => chance(0.3) ? null : inner.gen(), bounded: inner.bounded, type: 'any' };
  },
};

const names = n => {
  const set = new Set();
  while (set.size < n) set.add(pick([word(), word() + '_' + word(), 'é' + word(), 'a"' + word(), word() + ' ' + word(), 'x-' + word()]));
  return [...set];
};

// An object whose generator writes declared properties in order, then the rest.
function object(depth, { extra, required = 0.5, keys } = {}) {
  keys ??= names(between(1, 5));
  const parts = keys.map(() => any(depth - 1));
  const schema = { type: 'object', properties: Object.fromEntries(keys.map((k, i) => [k, parts[i].schema])) };
  const must = keys.filter(() => chance(required));
  if (must.length) schema.required = must;
  extra ??= pick(['false', 'false', 'true', 'schema', 'absent']);
  let other = null;
  if (extra === 'false') schema.additionalProperties = false;
  if (extra === 'true') schema.additionalProperties = true;
  if (extra === 'schema') {
    other = any(Math.min(1, depth - 1));
    schema.additionalProperties = other.schema;
  }
  const gen = (optional = 0.6, more = true) => {
    const value = {};
    keys.forEach((k, i) => { if (must.includes(k) || chance(optional)) value[k] = parts[i].gen(); });
    if (more && extra !== 'false' && chance(0.5)) for (const k of names(between(1, 2))) if (!keys.includes(k)) value['~' + k] = other ? other.gen() : pick([1, 'x', null, [true], { q: [] }]);
    return value;
  };
  return { schema, gen, bounded: extra === 'false' && parts.every(p => p.bounded), type: 'object', keys, must };
}

const structured = {
  object,
  counted(depth) {
    const o = object(depth, { extra: 'false', required: 0.3 });
    const min = Math.min(o.keys.length, o.must.length + below(3)), max = Math.max(min, o.must.length, between(1, o.keys.length));
    const which = pick(['minProperties', 'maxProperties', 'both']);
    if (which !== 'maxProperties') o.schema.minProperties = min;
    if (which !== 'minProperties') o.schema.maxProperties = max;
    return { ...o, gen: () => o.gen(random()) };
  },
  open(depth) {
    const other = any(depth - 1);
    const max = between(1, 4);
    const schema = { type: 'object', additionalProperties: other.schema, minProperties: 1, maxProperties: max };
    return { schema, gen: () => Object.fromEntries(names(between(1, max)).map(k => [k, other.gen()])), bounded: false, type: 'object' };
  },
  patternProperties(depth) {
    const a = any(depth - 1), b = scalar.integer();
    const schema = { type: 'object', patternProperties: { '^s_': a.schema, '^n_[0-9]+$': b.schema }, additionalProperties: false };
    return {
      schema, bounded: false, type: 'object',
      gen: () => Object.fromEntries(times(below(4), () => chance(0.5) ? ['s_' + word(), a.gen()] : ['n_' + digits(2), b.gen()])),
    };
  },
  propertyNames(depth) {
    const a = any(depth - 1);
    const schema = { type: 'object', propertyNames: { pattern: '^[a-z]{1,6}$' }, additionalProperties: a.schema };
    return { schema, gen: () => Object.fromEntries(times(below(4), () => [word(), a.gen()])), bounded: false, type: 'object' };
  },
  array(depth) {
    const item = any(depth - 1);
    const schema = { type: 'array', items: item.schema };
    const min = below(3), max = min + below(3);
    const least = chance(0.6), most = chance(0.7);
    if (least) schema.minItems = min;
    if (most) schema.maxItems = max;
    return { schema, gen: () => times(between(least ? min : 0, most ? max : min + 3), () => item.gen()), bounded: most && item.bounded, type: 'array' };
  },
  prefixItems(depth) {
    const places = times(between(1, 3), () => any(depth - 1));
    const closed = chance(0.6);
    const schema = { type: 'array', prefixItems: places.map(p => p.schema), items: closed ? false : { type: 'integer' } };
    if (chance(0.6)) schema.minItems = places.length;
    return {
      schema, bounded: closed && places.every(p => p.bounded), type: 'array',
      gen: () => {
        const n = schema.minItems ?? below(places.length + 1);
        const value = places.slice(0, n).map(p => p.gen());
        return n === places.length && !closed ? [...value, ...times(below(3), () => below(100))] : value;
      },
    };
  },
  anyOf(depth) {
    const options = times(between(2, 3), () => any(depth - 1));
    return { schema: { anyOf: options.map(o => o.schema) }, gen: () => pick(options).gen(), bounded: options.every(o => o.bounded), type: 'any' };
  },
  oneOf(depth) {
    if (chance(0.5)) {
      const options = names(between(2, 3)).map(tag => {
        const o = object(depth - 1, { extra: 'false', keys: names(2).map(k => 'f' + k) });
        return {
          schema: { ...o.schema, properties: { kind: { const: tag }, ...o.schema.properties }, required: ['kind', ...(o.schema.required ?? [])] },
          gen: () => ({ kind: tag, ...o.gen() }), bounded: o.bounded,
        };
      });
      return { schema: { oneOf: options.map(o => o.schema) }, gen: () => pick(options).gen(), bounded: options.every(o => o.bounded), type: 'any' };
    }
    const options = [pick([scalar.string, scalar.length, scalar.pattern])(), pick([scalar.integer, scalar.number])(), scalar.boolean(), structured.array(depth - 1)];
    const chosen = options.filter(() => chance(0.7));
    if (chosen.length < 2) chosen.push(scalar.null(), object(depth - 1));
    return { schema: { oneOf: chosen.map(o => o.schema) }, gen: () => pick(chosen).gen(), bounded: chosen.every(o => o.bounded), type: 'any' };
  },
  allOf(depth) {
    if (chance(0.3)) {
      const lo = between(-50, 50), hi = lo + between(3, 90);
      return { schema: { allOf: [{ type: 'number' }, { minimum: lo }, { maximum: hi }, { type: 'integer' }] }, gen: () => between(lo, hi), bounded: true, type: 'number' };
    }
    const a = object(depth - 1, { extra: 'absent', keys: names(2).map(k => 'l' + k) }), b = object(depth - 1, { extra: 'absent', keys: names(2).map(k => 'r' + k) });
    return { schema: { allOf: [a.schema, b.schema] }, gen: () => ({ ...a.gen(0.6, false), ...b.gen(0.6, false) }), bounded: false, type: 'object' };
  },
  ref(depth) {
    const inner = object(depth - 1);
    definitions.push(inner.schema);
    return { schema: { $ref: `#/$defs/d${definitions.length - 1}` }, gen: inner.gen, bounded: inner.bounded, type: 'object' };
  },
  recursion(depth) {
    const value = any(Math.min(depth - 1, 1));
    const at = definitions.length;
    const self = { $ref: `#/$defs/d${at}` };
    if (chance(0.5)) {
      definitions.push({ type: 'object', properties: { value: value.schema, next: { anyOf: [self, { type: 'null' }] } }, required: ['value', 'next'], additionalProperties: false });
      const gen = n => ({ value: value.gen(), next: n > 0 && chance(0.7) ? gen(n - 1) : null });
      return { schema: self, gen: () => gen(4), bounded: false, type: 'object' };
    }
    definitions.push({ type: 'object', properties: { value: value.schema, children: { type: 'array', items: self, maxItems: 3 } }, required: ['value'], additionalProperties: false });
    const gen = n => ({ value: value.gen(), ...(n > 0 && chance(0.7) ? { children: times(below(3), () => gen(n - 1)) } : {}) });
    return { schema: self, gen: () => gen(3), bounded: false, type: 'object' };
  },
};

let definitions = [];
function any(depth) {
  return depth > 0 && chance(0.55) ? pick(Object.values(structured))(depth) : pick(Object.values(scalar))();
}

const features = [
  ...Object.keys(structured).map(k => d => structured[k](d)),
  ...Object.keys(scalar).map(k => () => scalar[k]()),
  ...Object.keys(formats).map(k => () => scalar.format(k)),
];

function mutate(value) {
  const parsed = structuredClone(value);
  const places = [];
  (function visit(v, set) {
    places.push([v, set]);
    if (Array.isArray(v)) v.forEach((x, i) => visit(x, y => { v[i] = y; }));
    else if (v && typeof v === 'object') for (const k of Object.keys(v)) visit(v[k], y => { v[k] = y; });
  })(parsed, y => { places.root = y; });
  const [v, set] = pick(places);
  const changes = [() => set(pick([null, true, 'mutant', 3.25, -7, [], {}, 123456, '']))];
  if (typeof v === 'number') changes.push(() => set(v + pick([1, -1, 0.5, 1000, -1000])));
  if (typeof v === 'string') changes.push(() => set(v + pick(['x', ' ', '"', '漢'])), () => set(v.slice(1)), () => set(v + v + v));
  if (Array.isArray(v)) changes.push(() => v.pop(), () => v.push(...times(4, () => v[0] ?? 0)));
  else if (v && typeof v === 'object') changes.push(() => { delete v[pick(Object.keys(v))]; }, () => { v['~mutant'] = pick([1, 'x']); });
  pick(changes)();
  return 'root' in places ? places.root : parsed;
}

for (let i = 0; i < count; i++) {
  definitions = [];
  const depth = 1 + i % 5;
  const made = features[i % features.length](depth);
  // Half of the featured scalars stand inside of something.
  const outer = i % features.length >= Object.keys(structured).length && chance(0.5) ? { ...made, schema: { type: 'array', items: made.schema, maxItems: 3 }, gen: () => times(below(4), () => made.gen()) } : made;
  const schema = definitions.length ? { ...outer.schema, $defs: Object.fromEntries(definitions.map((d, k) => [`d${k}`, d])) } : outer.schema;
  const isValid = validator(schema);
  const valid = new Set(), invalid = new Set();
  for (let k = 0; k < 400 && valid.size < 20; k++) {
    const value = outer.gen();
    if (isValid(value)) valid.add(JSON.stringify(value));
  }
  for (let k = 0; k < 2000 && valid.size > 0 && invalid.size < 20; k++) {
    const value = mutate(JSON.parse(pick([...valid])));
    if (value !== undefined && !isValid(value)) invalid.add(JSON.stringify(value));
  }
  console.log(JSON.stringify({ schema, bounded: outer.bounded && !definitions.length, valid: [...valid], invalid: [...invalid] }));
}
