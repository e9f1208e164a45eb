// The settings beside the conversation, and the chips that say which of them are in effect.
import { byId, el } from './dom.js';
import { ExampleSchema, ExampleTools } from './examples.js';
import { readJson } from './json.js';
import { readTools, Sampling } from './request.js';
import { save, settings } from './store.js';

const wide = matchMedia('(min-width: 70rem)');

/** Fills the panel from the settings. @param {() => void} changed Called after each change. */
export function startPanel(changed) {
  const update = () => { drawVerdicts(); drawModes(); save(); changed(); };
  byId('sampling').replaceChildren(...Sampling.map(field => samplingField(field, update)));
  byId('sampling-reset').addEventListener('click', () => {
    settings.sampling = {};
    fill();
    update();
    byId('sampling').querySelector('input').focus();
  });
  bind('system', 'system', update);
  bind('stop-strings', 'stop', update);
  bind('tools', 'tools', update);
  bind('schema', 'schema', update);
  bind('tool-choice', 'toolChoice', update);
  for (const [id, name] of [['tools-on', 'toolsOn'], ['parallel', 'parallel'], ['logprobs', 'logprobs']])
    byId(id).addEventListener('change', e => { settings[name] = e.target.checked; update(); });
  byId('top-logprobs').addEventListener('input', e => {
    const n = e.target.valueAsNumber;
    if (Number.isInteger(n) && n >= 0 && n <= 20) { settings.topLogprobs = n; update(); }
  });
  byId('format').addEventListener('change', e => { settings.format = e.target.value; update(); });
  byId('tools-example').addEventListener('click', () => { Object.assign(settings, { tools: ExampleTools, toolsOn: true }); fill(); update(); });
  byId('schema-example').addEventListener('click', () => { Object.assign(settings, { schema: ExampleSchema, format: 'json_schema' }); fill(); update(); });
  for (const area of byId('panel').querySelectorAll('textarea')) area.addEventListener('input', () => fitBounded(area));
  for (const section of byId('panel').querySelectorAll('details')) section.addEventListener('toggle', () => section.querySelectorAll('textarea').forEach(fitBounded));

  byId('settings').addEventListener('click', () => (isOpen() ? closePanel() : openPanel()));
  byId('close').addEventListener('click', closePanel);
  // Over the page it is left as a dialog is.
  byId('panel').addEventListener('keydown', e => {
    if (e.key !== 'Escape' || wide.matches) return;
    e.stopPropagation();
    closePanel();
  });
  wide.addEventListener('change', () => setOpen(wide.matches));
  fill();
  drawVerdicts();
  drawModes();
  setOpen(wide.matches);
}

const isOpen = () => !byId('panel').hidden;

/** @param {string?} section The id of a section to open and go to. */
export function openPanel(section = null) {
  setOpen(true);
  const target = section ? byId(section) : null;
  if (target) target.open = true;
  (target?.querySelector('summary') ?? byId('close')).focus();
  target?.scrollIntoView({ block: 'nearest' });
}

function closePanel() {
  setOpen(false);
  byId('settings').focus();
}

function setOpen(open) {
  byId('panel').hidden = !open;
  byId('settings').setAttribute('aria-expanded', String(open));
  document.body.classList.toggle('with-panel', open);
  // Under the panel of a narrow screen nothing can be reached.
  byId('main').inert = open && !wide.matches;
  if (open) byId('panel').querySelectorAll('textarea').forEach(fitBounded);
}

/** Shows settings that were changed elsewhere. */
export function fill() {
  for (const [id, name] of [['system', 'system'], ['stop-strings', 'stop'], ['tools', 'tools'], ['schema', 'schema']]) {
    byId(id).value = settings[name];
    fitBounded(byId(id));
  }
  byId('tools-on').checked = settings.toolsOn;
  byId('parallel').checked = settings.parallel;
  byId('logprobs').checked = settings.logprobs;
  byId('top-logprobs').value = settings.topLogprobs;
  for (const radio of byId('format').querySelectorAll('input')) radio.checked = radio.value === settings.format;
  for (const field of byId('sampling').children) field.show();
  if (settings.toolsOn) byId('tools-section').open = true;
  if (settings.format !== 'text') byId('format-section').open = true;
  if (settings.logprobs) byId('logprobs-section').open = true;
  drawVerdicts();
  drawModes();
}

/** What keeps the settings from being sent; null when nothing does. @returns {{section: string, message: string}?} */
export function obstacle() {
  if (settings.toolsOn) {
    const { error } = readTools(settings.tools);
    if (error) return { section: 'tools-section', message: `The functions cannot be sent: ${error}` };
  }
  if (settings.format === 'json_schema') {
    const error = schemaError();
    if (error) return { section: 'format-section', message: `The schema cannot be sent: ${error}` };
  }
  return null;
}

function schemaError() {
  if (!settings.schema.trim()) return 'Nothing here yet.';
  const { value, error } = readJson(settings.schema);
  return error ?? (value !== null && typeof value === 'object' && !Array.isArray(value) ? null : 'A schema is an object.');
}

function bind(id, name, update) {
  byId(id).addEventListener('input', e => { settings[name] = e.target.value; update(); });
}

function fitBounded(area) {
  if (area.offsetParent === null) return;
  const least = Number(area.getAttribute('rows')) * 20 + 18;
  area.style.height = 'auto';
  area.style.height = `${Math.min(Math.max(area.scrollHeight + 2, least), 420)}px`;
}

function samplingField({ name, label, min, max, step, resting, hint }, update) {
  const id = `sampling-${name}`;
  const number = el('input', { id, type: 'number', min, max, step: resting === undefined ? step : 'any', inputmode: step === 1 ? 'numeric' : 'decimal', placeholder: 'default', 'aria-describedby': `${id}-hint` });
  const slider = resting === undefined ? null : el('input', { type: 'range', min, max, step, 'aria-label': `${label}, slider`, tabindex: '-1' });
  const node = el('div', { class: 'sampling-field' },
    el('label', { for: id }, label), number, slider, el('p', { class: 'hint', id: `${id}-hint` }, hint));
  const set = value => {
    if (value === null) delete settings.sampling[name];
    else settings.sampling[name] = value;
    node.mark();
    update();
  };
  number.addEventListener('input', () => {
    const value = number.valueAsNumber;
    const usable = Number.isFinite(value) && value >= min && value <= max && (step !== 1 || Number.isSafeInteger(value));
    number.setAttribute('aria-invalid', String(!usable && (number.value !== '' || number.validity.badInput)));
    if (slider && usable) slider.value = value;
    set(usable ? value : null);
  });
  slider?.addEventListener('input', () => {
    number.value = slider.value;
    number.setAttribute('aria-invalid', 'false');
    set(Number(slider.value));
  });
  node.mark = () => {
    node.classList.toggle('set', settings.sampling[name] !== undefined);
    if (slider) slider.style.setProperty('--share', (Number(slider.value) - min) / (max - min));
  };
  node.show = () => {
    number.value = settings.sampling[name] ?? '';
    number.setAttribute('aria-invalid', 'false');
    if (slider) slider.value = settings.sampling[name] ?? resting;
    node.mark();
  };
  return node;
}

function drawVerdicts() {
  const { tools, error } = readTools(settings.tools);
  const said = byId('tools-verdict');
  said.className = tools ? 'verdict good' : settings.tools.trim() ? 'verdict bad' : 'verdict';
  const text = tools ? tools.map(t => t.function.name).join(', ') : settings.tools.trim() ? error : '';
  if (said.textContent !== text) said.textContent = text;
  byId('tools').setAttribute('aria-invalid', String(!tools && settings.tools.trim() !== ''));
  byId('tools-count').textContent = settings.toolsOn && tools ? String(tools.length) : '';

  const choice = byId('tool-choice');
  const options = [['auto', 'The model chooses'], ['none', 'None'], ['required', 'At least one'], ...(tools ?? []).map(t => [t.function.name, `Only ${t.function.name}`])];
  if (JSON.stringify(options) !== choice.dataset.options) {
    choice.dataset.options = JSON.stringify(options);
    choice.replaceChildren(...options.map(([value, name]) => el('option', { value }, name)));
  }
  choice.value = options.some(([value]) => value === settings.toolChoice) ? settings.toolChoice : 'auto';

  const schema = settings.schema.trim() ? schemaError() : null;
  const about = byId('schema-verdict');
  about.className = settings.schema.trim() ? `verdict ${schema ? 'bad' : 'good'}` : 'verdict';
  const about2 = settings.schema.trim() ? schema ?? 'A schema' : '';
  if (about.textContent !== about2) about.textContent = about2;
  byId('schema').setAttribute('aria-invalid', String(schema !== null));
  byId('schema-area').hidden = settings.format !== 'json_schema';
  byId('format-count').textContent = { text: '', json_object: 'JSON', json_schema: 'schema' }[settings.format];
  byId('logprobs-count').textContent = settings.logprobs ? 'on' : '';
  byId('sampling-reset').hidden = Object.keys(settings.sampling).length === 0;
}

function drawModes() {
  const count = readTools(settings.tools).tools?.length ?? 0;
  const set = Object.keys(settings.sampling).length;
  const modes = [
    settings.system.trim() && ['System prompt', 'system-section'],
    set > 0 && ['Sampling', 'sampling-section'],
    settings.toolsOn && [`Tools ${count}`, 'tools-section'],
    settings.format !== 'text' && [settings.format === 'json_schema' ? 'JSON schema' : 'JSON', 'format-section'],
    settings.logprobs && ['Probabilities', 'logprobs-section'],
  ].filter(Boolean);
  const key = JSON.stringify(modes);
  if (byId('modes').dataset.key === key) return;
  byId('modes').dataset.key = key;
  byId('modes').replaceChildren(...modes.map(([text, id]) => el('li', {}, el('button', { type: 'button', class: 'chip', onclick: () => openPanel(id) }, text))));
}
