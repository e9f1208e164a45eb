// Writes NfcTables.cs beside this file from the Unicode data inside Node's ICU:
//
//     node src/QwenServe.Text/Tokenization/NfcTables.generate.mjs
//
// Only String.prototype.normalize is asked, so every fact below is derived from it:
//   full decomposition   NFD of the character alone;
//   composition pair     a character that NFC keeps and whose NFD has n >= 2 characters is the composition of
//                        (NFC of the first n-1, the last); exclusions and singletons never qualify;
//   combining class      NFD swaps two marks exactly when the first has the higher class, which sorts all marks into
//                        classes. Only equality and order of classes matter to normalization, so the table holds the
//                        classes' ordinals (1, 2, ...), not their canonical numbers.
// Hangul syllables are left out: they compose by arithmetic.
import { writeFileSync } from 'node:fs';

const all = [];
for (let cp = 0; cp < 0x110000; cp++) if ((cp < 0xD800 || cp > 0xDFFF) && (cp < 0xAC00 || cp > 0xD7A3)) all.push(cp);
const str = (...cps) => String.fromCodePoint(...cps);
const cps = s => Array.from(s, c => c.codePointAt(0));

const decompositions = [], pairs = [], simple = [];
for (const cp of all) {
  const nfd = cps(str(cp).normalize('NFD'));
  if (nfd.length === 1 && nfd[0] === cp) { simple.push(cp); continue; }
  decompositions.push([cp, nfd]);
  if (nfd.length < 2 || str(cp).normalize('NFC') !== str(cp)) continue;
  const left = cps(str(...nfd.slice(0, -1)).normalize('NFC')), right = nfd[nfd.length - 1];
  if (left.length !== 1 || str(left[0], right).normalize('NFC') !== str(cp)) throw new Error('no pair for ' + cp.toString(16));
  pairs.push([left[0], right, cp]);
}

// A mark of the lowest and one of the highest class tell marks from starters.
const low = 0x334, high = 0x345;
const swaps = (a, b) => str(a, b).normalize('NFD') === str(b, a);
const marks = simple.filter(x => x === low || x === high || swaps(x, low) || swaps(high, x));
const classes = [];
for (const mark of marks) {
  const same = classes.find(c => !swaps(c[0], mark) && !swaps(mark, c[0]));
  if (same) same.push(mark); else classes.push([mark]);
}
classes.sort((a, b) => (swaps(a[0], b[0]) ? 1 : -1));
for (let i = 1; i < classes.length; i++) if (!swaps(classes[i][0], classes[i - 1][0])) throw new Error('classes out of order');
const ordinal = new Map();
classes.forEach((c, i) => c.forEach(mark => ordinal.set(mark, i + 1)));
const ranges = [];
for (const mark of marks) {
  const last = ranges[ranges.length - 1], k = ordinal.get(mark);
  if (last && last[1] === mark - 1 && last[2] === k) last[1] = mark; else ranges.push([mark, mark, k]);
}

const hex = n => '0x' + n.toString(16).toUpperCase();
const lines = (items, perLine) => {
  const out = [];
  for (let i = 0; i < items.length; i += perLine) out.push('        ' + items.slice(i, i + perLine).join(' '));
  return out.join('\n');
};
writeFileSync(new URL('NfcTables.cs', import.meta.url), `namespace QwenServe.Text.Tokenization;

// Written by NfcTables.generate.mjs from Unicode ${process.versions.unicode}; not edited by hand.
internal static class NfcTables
{
    public const string UnicodeVersion = "${process.versions.unicode}";

    /// <summary>Canonical combining classes as ordinals: first code point, last code point, ordinal; sorted.</summary>
    public static ReadOnlySpan<int> CombiningClasses =>
    [
${lines(ranges.map(([a, b, k]) => `${hex(a)}, ${hex(b)}, ${k},`), 8)}
    ];

    /// <summary>Primary compositions: first, second, composite; sorted by composite.</summary>
    public static ReadOnlySpan<int> Compositions =>
    [
${lines(pairs.map(([l, r, c]) => `${hex(l)}, ${hex(r)}, ${hex(c)},`), 6)}
    ];

    /// <summary>Full canonical decompositions: code point, length, then that many code points; sorted by code point.</summary>
    public static ReadOnlySpan<int> Decompositions =>
    [
${lines(decompositions.map(([c, d]) => `${hex(c)}, ${d.length}, ${d.map(hex).join(', ')},`), 5)}
    ];
}
`);
console.log(`${marks.length} marks in ${classes.length} classes and ${ranges.length} ranges, ${pairs.length} pairs, ${decompositions.length} decompositions`);
