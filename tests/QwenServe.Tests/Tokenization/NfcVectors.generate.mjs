// Prints the rows of NfcTests: SHA-256 of what String.prototype.normalize makes of every code point and of random sequences.
//
//     node tests/QwenServe.Tests/Tokenization/NfcVectors.generate.mjs
import { createHash } from 'node:crypto';

const hex = h => h.digest('hex').toUpperCase();
const nfc = s => s.normalize('NFC') + '\n';

const blocks = [];
for (let first = 0; first < 0x10000; first += 0x1000) blocks.push([first, first + 0xFFF]);
blocks.push([0x10000, 0x13FFF], [0x14000, 0x1BFFF], [0x1C000, 0x1FFFF], [0x20000, 0x2FFFF], [0x30000, 0x10FFFF]);
for (const [first, last] of blocks) {
  const hash = createHash('sha256');
  for (let cp = first; cp <= last; cp++) {
    if (cp >= 0xD800 && cp <= 0xDFFF) continue;
    const c = String.fromCodePoint(cp);
    hash.update(nfc(c) + nfc(c + '\u0301' + c) + nfc('A' + c + '\u0323' + c + '\u0334'));
  }
  console.log(`    [InlineData(0x${first.toString(16).toUpperCase()}, 0x${last.toString(16).toUpperCase()}, "${hex(hash)}")]`);
}

const ranges = [
  [0x41, 0x7A], [0xC0, 0x17F], [0x300, 0x36F], [0x300, 0x36F], [0x300, 0x345], [0x5B0, 0x5C7], [0x610, 0x65F], [0x915, 0x95F], [0x9BE, 0x9DF],
  [0xB40, 0xDFF], [0xF40, 0xFC6], [0x1100, 0x11FF], [0x1161, 0x11C2], [0xAC00, 0xAC3F], [0x1AB0, 0x1AFF], [0x1DC0, 0x1DFF], [0x1E00, 0x1FFF],
  [0x20D0, 0x20F0], [0x3040, 0x30FF], [0xF900, 0xFAFF], [0x11080, 0x113FF], [0x16D60, 0x16D6F], [0x1D150, 0x1D1FF], [0x1E000, 0x1E8DF], [0x2F800, 0x2FA1D],
];
for (const seed of [1, 2, 3]) {
  let state = seed;
  const next = n => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return (state >>> 8) % n; };
  const hash = createHash('sha256');
  for (let i = 0; i < 30000; i++) {
    let text = '';
    for (let left = 1 + next(24); left > 0; left--) {
      const [first, last] = ranges[next(ranges.length)];
      text += String.fromCodePoint(first + next(last - first + 1));
    }
    hash.update(nfc(text));
  }
  console.log(`    [InlineData(${seed}, "${hex(hash)}")]`);
}
