// Elements are built, never parsed: nothing here takes markup, and the page's policy (require-trusted-types-for) forbids it.

/** el('p', {class: 'hint', onclick: f}, 'text', node): text becomes text nodes; null, undefined and false are left out. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

export const byId = id => document.getElementById(id);

/** An icon of 20 by 20 units, drawn in the colour of the text. */
export function icon(path) {
  const svg = svgElement('svg', { viewBox: '0 0 20 20', 'aria-hidden': 'true' });
  svg.append(svgElement('path', { d: path }));
  return svg;
}

export function svgElement(name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** Reads out to those who do not see the page. */
export function announce(text) {
  byId('announcer').textContent = text;
}

/** A button that copies what `text()` gives, and says so for a moment. */
export function copyButton(label, text, attributes = {}) {
  const button = el('button', { type: 'button', class: 'quiet', ...attributes }, label);
  onCopy(button, text);
  return button;
}

export function onCopy(button, text) {
  const label = button.textContent;
  let timer = 0;
  button.addEventListener('click', async () => {
    const done = await copy(text());
    button.textContent = done ? 'Copied' : 'Not copied';
    announce(button.textContent);
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; }, 1600);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers keep the clipboard from plain http on other hosts; the old way still works there.
    const area = el('textarea', { class: 'unseen', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** Grows a text area with what is in it. */
export function fit(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

/** Whether a key press means "do it" in a text area: Ctrl or Cmd with Enter. */
export const isSubmit = event => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.isComposing;
