// The Markdown that models write, into DOM nodes. It knows no HTML: a tag is text like any other. Blocks are kept by their source,
// so that a growing answer redraws its last block only, and a selection in the others stays.
import { copyButton, el } from './dom.js';

const Fence = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$/;
const Heading = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const Rule = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const Item = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)(.*)$/;
const Divider = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/** How deep quotes and lists may lie in each other; what is deeper is text. */
const Deepest = 16;

/** Draws `text` into `parent`, whose children it owns. */
export function draw(parent, text, depth = 0) {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const sources = depth < Deepest ? blocks(lines) : [{ type: 'paragraph', lines }];
  sources.forEach((block, i) => {
    const key = block.type + '\n' + block.lines.join('\n');
    const old = parent.children[i];
    if (old?.source === key) return;
    const node = drawBlock(block, depth);
    node.source = key;
    if (old) old.replaceWith(node);
    else parent.append(node);
  });
  while (parent.children.length > sources.length) parent.lastElementChild.remove();
}

/** Cuts lines into blocks: {type, lines, ...}. */
function blocks(lines) {
  const found = [];
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    if (line.trim() === '') { i++; continue; }
    let match;
    if ((match = Fence.exec(line))) {
      const fence = match[1];
      const body = [];
      for (i++; i < lines.length && !closes(lines[i], fence); i++) body.push(lines[i]);
      i++;
      found.push({ type: 'code ' + match[2].trim(), lines: body, language: match[2].trim().split(/\s/)[0] });
    } else if ((match = Heading.exec(line))) {
      found.push({ type: 'heading' + match[1].length, lines: [match[2]], level: match[1].length });
      i++;
    } else if (Rule.test(line)) {
      found.push({ type: 'rule', lines: [] });
      i++;
    } else if (/^ {0,3}>/.test(line)) {
      const body = [];
      for (; i < lines.length && /^ {0,3}>/.test(lines[i]); i++) body.push(lines[i].replace(/^ {0,3}> ?/, ''));
      found.push({ type: 'quote', lines: body });
    } else if ((match = Item.exec(line))) {
      const body = [];
      const indent = match[1].length;
      const ordered = /\d/.test(match[2]);
      for (; i < lines.length; i++) {
        const next = Item.exec(lines[i]);
        if (lines[i].trim() === '') {
          // A blank line ends the list unless it goes on behind it.
          const after = lines[i + 1] ?? '';
          if (!Item.test(after) && !/^ {2,}\S/.test(after)) break;
        } else if (next && next[1].length <= indent && /\d/.test(next[2]) !== ordered) {
          break;
        } else if (!next && !/^ {2,}/.test(lines[i]) && lines[i - 1].trim() === '') {
          break;
        } else if (Fence.test(lines[i]) && !/^ /.test(lines[i])) {
          break;
        }
        body.push(lines[i]);
      }
      found.push({ type: ordered ? 'ordered' : 'list', lines: body, indent, start: parseInt(match[2], 10) });
    } else if (line.includes('|') && Divider.test(lines[i + 1] ?? '') && cells(line).length === cells(lines[i + 1]).length) {
      const body = [];
      for (; i < lines.length && lines[i].includes('|') && lines[i].trim() !== ''; i++) body.push(lines[i]);
      found.push({ type: 'table', lines: body });
    } else {
      const body = [];
      for (; i < lines.length && lines[i].trim() !== '' && (body.length === 0 || !interrupts(lines, i)); i++) body.push(lines[i]);
      found.push({ type: 'paragraph', lines: body });
    }
  }
  return found;
}

const closes = (line, fence) => {
  const text = line.trim();
  return text.length >= fence.length && text === fence[0].repeat(text.length);
};

const interrupts = (lines, i) => Fence.test(lines[i]) || Heading.test(lines[i]) || Rule.test(lines[i]) || /^ {0,3}>/.test(lines[i])
  || Item.exec(lines[i])?.[3] || (lines[i].includes('|') && Divider.test(lines[i + 1] ?? ''));

function drawBlock(block, depth) {
  switch (block.type.split(' ')[0]) {
    case 'code': return codeBlock(block.lines.join('\n'), block.language);
    case 'rule': return el('hr');
    case 'quote': return within(el('blockquote'), block.lines, depth);
    case 'list': case 'ordered': return list(block, depth);
    case 'table': return table(block.lines);
    case 'paragraph': return el('p', {}, inline(block.lines.map(l => l.trim()).join('\n')));
    // The page has an h1 of its own, and each turn is below it.
    default: return el(`h${Math.min(6, block.level + 2)}`, {}, inline(block.lines[0]));
  }
}

function within(parent, lines, depth) {
  draw(parent, lines.join('\n'), depth + 1);
  return parent;
}

export function codeBlock(text, language = '') {
  return el('figure', { class: 'code' },
    el('figcaption', {}, el('span', {}, language || 'text'), copyButton('Copy', () => text)),
    el('pre', { tabindex: '0', 'aria-label': language ? `Code, ${language}` : 'Code', role: 'group' }, el('code', {}, text)));
}

function list(block, depth) {
  const items = [];
  for (const line of block.lines) {
    const match = Item.exec(line);
    if (match && match[1].length <= block.indent + 1) items.push([match[3]]);
    else items.at(-1).push(line.replace(new RegExp(`^ {0,${block.indent + 3}}`), ''));
  }
  const nodes = items.map(lines => {
    const task = /^\[([ xX])\][ \t]+(.*)$/.exec(lines[0]);
    if (task) lines[0] = task[2];
    const item = within(el('li'), lines, depth);
    // A lone paragraph needs no paragraph's space around it.
    if (item.firstElementChild?.tagName === 'P') item.firstElementChild.classList.add('tight');
    if (task) item.prepend(el('input', { type: 'checkbox', disabled: true, checked: task[1] !== ' ', 'aria-label': 'Done' }));
    return item;
  });
  return block.type === 'ordered' ? el('ol', { start: block.start === 1 ? null : block.start }, nodes) : el('ul', {}, nodes);
}

function table(lines) {
  const [head, divider, ...rows] = lines.map(cells);
  const side = divider.map(c => (c.endsWith(':') ? (c.startsWith(':') ? 'middle' : 'end') : null));
  const row = (texts, name) => el('tr', {}, head.map((_, i) => el(name, { class: side[i], scope: name === 'th' ? 'col' : null }, inline(texts[i] ?? ''))));
  return el('div', { class: 'wide', tabindex: '0', role: 'group', 'aria-label': 'Table' },
    el('table', {}, el('thead', {}, row(head, 'th')), el('tbody', {}, rows.map(r => row(r, 'td')))));
}

function cells(line) {
  const found = [''];
  const text = line.trim().replace(/^\|/, '').replace(/\|$/, '');
  let code = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && text[i + 1] === '|') { found[found.length - 1] += '|'; i++; continue; }
    if (text[i] === '`') code = !code;
    if (text[i] === '|' && !code) found.push('');
    else found[found.length - 1] += text[i];
  }
  return found.map(c => c.trim());
}

/** How far a closing mark is looked for: what a model repeats without end must not cost the square of its length. */
const Reach = 2000;

/** Emphasis, code, links and line breaks, as an array of nodes and strings. */
function inline(text, depth = 0) {
  const out = [];
  let plain = '';
  const push = node => {
    if (plain) out.push(plain);
    plain = '';
    out.push(node);
  };
  for (let i = 0; i < text.length;) {
    const c = text[i];
    let match;
    if (c === '\\' && /[!-/:-@[-`{-~]/.test(text[i + 1] ?? '')) {
      plain += text[i + 1];
      i += 2;
    } else if (c === '\n') {
      push(el('br'));
      i++;
    } else if (c === '`' && (match = codeSpan(text, i))) {
      push(el('code', {}, match.text));
      i = match.end;
    } else if (depth < 8 && (c === '*' || c === '_' || (c === '~' && text[i + 1] === '~')) && (match = emphasis(text, i))) {
      push(el(match.name, {}, inline(match.text, depth + 1)));
      i = match.end;
    } else if (depth < 8 && c === '[' && (match = link(text, i))) {
      push(anchor(match.href, inline(match.text, depth + 1)));
      i = match.end;
    } else if (c === 'h' && !/\w/.test(text[i - 1] ?? '') && (match = /^https?:\/\/[^\s<>"'`\\^{|}]+/.exec(text.slice(i, i + Reach)))) {
      const address = match[0].replace(/[.,;:!?)\]*_~]+$/, '');
      push(anchor(address, [address]));
      i += address.length;
    } else {
      plain += c;
      i++;
    }
  }
  if (plain) out.push(plain);
  return out;
}

function codeSpan(text, at) {
  const ticks = /^`+/.exec(text.slice(at, at + Reach))[0];
  for (let end = at + ticks.length; (end = text.indexOf('`', end)) >= 0 && end < at + Reach;) {
    const run = /^`+/.exec(text.slice(end, end + Reach))[0];
    if (run.length === ticks.length) {
      const inner = text.slice(at + ticks.length, end);
      return { text: inner.length > 2 && inner.startsWith(' ') && inner.endsWith(' ') ? inner.slice(1, -1) : inner, end: end + run.length };
    }
    end += run.length;
  }
  return null;
}

function emphasis(text, at) {
  const c = text[at];
  // snake_case is a name.
  if (c === '_' && /\w/.test(text[at - 1] ?? '')) return null;
  for (const [mark, name] of [[c + c, c === '~' ? 'del' : 'strong'], [c, 'em']]) {
    if (!text.startsWith(mark, at) || (c === '~' && mark.length === 1)) continue;
    const begin = at + mark.length;
    if (/\s|^$/.test(text[begin] ?? '')) continue;
    for (let end = begin; (end = text.indexOf(mark, end + 1)) >= 0 && end < at + Reach;) {
      if (/\s/.test(text[end - 1])) continue;
      if (mark.length === 1 && (text[end + 1] === c || text[end - 1] === c)) { end++; continue; }
      if (c === '_' && /\w/.test(text[end + mark.length] ?? '')) continue;
      return { name, text: text.slice(begin, end), end: end + mark.length };
    }
  }
  return null;
}

function link(text, at) {
  const match = /^\[([^[\]\n]{1,500})\]\(\s*<?([^\s<>()]{1,1500}(?:\([^\s<>()]{0,200}\)[^\s<>()]{0,200})?)>?(?:\s+"[^"\n]{0,200}")?\s*\)/.exec(text.slice(at, at + Reach));
  if (!match || !isWeb(match[2])) return null;
  return { text: match[1], href: match[2], end: at + match[0].length };
}

/** Only the web is linked to: javascript:, data: and paths of this server stay text. */
function isWeb(href) {
  try {
    return /^https?:\/\//i.test(href) && ['http:', 'https:'].includes(new URL(href).protocol);
  } catch {
    return false;
  }
}

function anchor(href, children) {
  return isWeb(href) ? el('a', { href, rel: 'noopener noreferrer nofollow', target: '_blank' }, children) : el('span', {}, children);
}
