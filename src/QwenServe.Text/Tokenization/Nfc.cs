using System.Buffers;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Unicode normalization form C (UAX #15) of our own: the server runs without ICU, where <c>string.Normalize</c> silently
/// returns its input. Text is looked at in regions: a region is one harmless starter and the characters after it that
/// could reorder, decompose or join what precedes them. Everything between regions is copied, and text without a region
/// that changes is not copied at all.
/// </summary>
internal static class Nfc
{
    private const int HangulBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7;
    private const int LCount = 19, VCount = 21, TCount = 28, SyllableCount = LCount * VCount * TCount;

    private static readonly Tables Data = new();

    /// <summary>The normal form, or <paramref name="text"/> itself when it is already normal. Lone surrogates pass through.</summary>
    public static string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        using var changed = NormalizeIfNeeded(text);
        return changed is null ? text : changed.Written.ToString();
    }

    /// <summary>The normal form, or null when <paramref name="text"/> is already normal.</summary>
    public static CharBuffer? NormalizeIfNeeded(ReadOnlySpan<char> text)
    {
        var changed = FirstChange(text, 0, out var regionEnd);
        if (changed < 0) return null;
        var output = new CharBuffer(text.Length + 16);
        NormalizeInto(text, changed, regionEnd, output);
        return output;
    }

    /// <summary>Whether a character can matter to normalization: a mark, a character NFC replaces, or one that joins what precedes it.</summary>
    public static bool IsRelevant(int codePoint) => Data.Relevant.Contains(codePoint);

    /// <summary>Sets <paramref name="flag"/> in <paramref name="table"/> (indexed by code point) for every character that is relevant.</summary>
    public static void FlagRelevant(Span<byte> table, byte flag)
    {
        foreach (var codePoint in Data.Relevant)
            if (codePoint < table.Length) table[codePoint] |= flag;
    }

    private static void NormalizeInto(ReadOnlySpan<char> text, int regionStart, int regionEnd, CharBuffer output)
    {
        var copied = 0;
        using var region = new RegionBuffer();
        while (regionStart >= 0)
        {
            output.Append(text[copied..regionStart]);
            region.Normalize(text[regionStart..regionEnd], output);
            copied = regionEnd;
            regionStart = FirstChange(text, regionEnd, out regionEnd);
        }
        output.Append(text[copied..]);
    }

    /// <summary>
    /// The start of the first region at or after <paramref name="from"/> that is not surely normal, or -1. <paramref name="from"/>
    /// is the start of the text or the end of a region, so that no region begins before it.
    /// </summary>
    private static int FirstChange(ReadOnlySpan<char> text, int from, out int regionEnd)
    {
        var at = from;
        var starter = -1;
        while (at < text.Length)
        {
            if (text[at] < 0x300)
            {
                var skip = text[at..].IndexOfAnyExceptInRange('\0', '\u02FF');
                at = skip < 0 ? text.Length : at + skip;
                if (skip < 0) break;
                starter = at - 1;
            }
            var codePoint = CodePointAt(text, at, out var size);
            if (!CharacterTable.NeedsNormalization(codePoint))
            {
                starter = at;
                at += size;
                continue;
            }
            var regionStart = starter >= 0 ? starter : at;
            if (ScanRegion(text, ref at))
            {
                regionEnd = at;
                return regionStart;
            }
            starter = -1;
        }
        regionEnd = text.Length;
        return -1;
    }

    /// <summary>Moves <paramref name="at"/> past a run of relevant characters; true unless they are marks in order that nothing joins.</summary>
    private static bool ScanRegion(ReadOnlySpan<char> text, ref int at)
    {
        var changes = false;
        var previous = 0;
        while (at < text.Length)
        {
            var codePoint = CodePointAt(text, at, out var size);
            if (!CharacterTable.NeedsNormalization(codePoint)) break;
            at += size;
            if (changes) continue;
            var combiningClass = Data.CombiningClass(codePoint);
            changes = combiningClass < previous || Data.IsUnsure(codePoint);
            previous = combiningClass;
        }
        return changes;
    }

    private static int CodePointAt(ReadOnlySpan<char> text, int at, out int size)
    {
        var unit = text[at];
        if (char.IsHighSurrogate(unit) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
        {
            size = 2;
            return char.ConvertToUtf32(unit, text[at + 1]);
        }
        size = 1;
        return unit;
    }

    /// <summary>Decomposes, reorders and composes one region; reused, so that a text full of regions allocates once.</summary>
    private sealed class RegionBuffer : IDisposable
    {
        private int[] _codePoints = ArrayPool<int>.Shared.Rent(64);
        private int _count;

        public void Normalize(ReadOnlySpan<char> region, CharBuffer output)
        {
            _count = 0;
            for (var i = 0; i < region.Length;)
            {
                Decompose(CodePointAt(region, i, out var size));
                i += size;
            }
            Reorder();
            Compose();
            for (var i = 0; i < _count; i++) output.AppendCodePoint(_codePoints[i]);
        }

        private void Decompose(int codePoint)
        {
            var syllable = codePoint - HangulBase;
            if ((uint)syllable < SyllableCount)
            {
                Add(LBase + syllable / (VCount * TCount));
                Add(VBase + syllable % (VCount * TCount) / TCount);
                if (syllable % TCount != 0) Add(TBase + syllable % TCount);
                return;
            }
            if (Data.Decompositions.TryGetValue(codePoint, out var place))
            {
                foreach (var part in NfcTables.Decompositions.Slice(place.Start, place.Length)) Add(part);
                return;
            }
            Add(codePoint);
        }

        private void Add(int codePoint)
        {
            if (_count == _codePoints.Length)
            {
                var larger = ArrayPool<int>.Shared.Rent(_count * 2);
                _codePoints.AsSpan(0, _count).CopyTo(larger);
                ArrayPool<int>.Shared.Return(_codePoints);
                _codePoints = larger;
            }
            _codePoints[_count++] = codePoint;
        }

        /// <summary>Sorts every run of marks by class, equal classes keeping their order; n log n, for a run may be as long as the text.</summary>
        private void Reorder()
        {
            for (var i = 0; i < _count;)
            {
                var previous = Data.CombiningClass(_codePoints[i]);
                if (previous == 0) { i++; continue; }
                var end = i + 1;
                var sorted = true;
                while (end < _count)
                {
                    var combiningClass = Data.CombiningClass(_codePoints[end]);
                    if (combiningClass == 0) break;
                    sorted &= combiningClass >= previous;
                    previous = combiningClass;
                    end++;
                }
                if (!sorted) SortRun(_codePoints.AsSpan(i, end - i));
                i = end;
            }
        }

        private static void SortRun(Span<int> run)
        {
            var keys = ArrayPool<long>.Shared.Rent(run.Length);
            for (var i = 0; i < run.Length; i++) keys[i] = ((long)Data.CombiningClass(run[i]) << 32) | (uint)i;
            keys.AsSpan(0, run.Length).Sort(run);
            ArrayPool<long>.Shared.Return(keys);
        }

        private void Compose()
        {
            var write = 0;
            var starter = -1;
            var previousClass = 0;
            for (var read = 0; read < _count; read++)
            {
                var codePoint = _codePoints[read];
                var combiningClass = Data.CombiningClass(codePoint);
                // Blocked by anything between the starter and this character that is a starter or has this class or a higher one.
                var adjacent = starter == write - 1;
                if (starter >= 0 && (adjacent || (previousClass != 0 && previousClass < combiningClass)) && TryCompose(_codePoints[starter], codePoint, out var composite))
                {
                    _codePoints[starter] = composite;
                    continue;
                }
                if (combiningClass == 0) starter = write;
                previousClass = combiningClass;
                _codePoints[write++] = codePoint;
            }
            _count = write;
        }

        private static bool TryCompose(int first, int second, out int composite)
        {
            if ((uint)(first - LBase) < LCount && (uint)(second - VBase) < VCount)
            {
                composite = HangulBase + ((first - LBase) * VCount + (second - VBase)) * TCount;
                return true;
            }
            var syllable = first - HangulBase;
            if ((uint)syllable < SyllableCount && syllable % TCount == 0 && second > TBase && second < TBase + TCount)
            {
                composite = first + (second - TBase);
                return true;
            }
            return Data.Compositions.TryGetValue(((long)first << 32) | (uint)second, out composite);
        }

        public void Dispose() => ArrayPool<int>.Shared.Return(_codePoints);
    }

    /// <summary>The generated tables in the form that is asked.</summary>
    private sealed class Tables
    {
        private readonly int[] _classStarts;
        private readonly HashSet<int> _unsure = [];

        public Tables()
        {
            var classes = NfcTables.CombiningClasses;
            _classStarts = new int[classes.Length / 3];
            for (var i = 0; i < _classStarts.Length; i++)
            {
                _classStarts[i] = classes[3 * i];
                for (var mark = classes[3 * i]; mark <= classes[3 * i + 1]; mark++) Relevant.Add(mark);
            }
            var compositions = NfcTables.Compositions;
            var kept = new HashSet<int>();
            for (var i = 0; i < compositions.Length; i += 3)
            {
                Compositions.Add(((long)compositions[i] << 32) | (uint)compositions[i + 1], compositions[i + 2]);
                kept.Add(compositions[i + 2]);
                _unsure.Add(compositions[i + 1]);
            }
            for (var i = 0; i < VCount; i++) _unsure.Add(VBase + i);
            for (var i = 1; i < TCount; i++) _unsure.Add(TBase + i);
            var decompositions = NfcTables.Decompositions;
            for (var i = 0; i < decompositions.Length; i += 2 + decompositions[i + 1])
            {
                Decompositions.Add(decompositions[i], (i + 2, decompositions[i + 1]));
                // A composite is unsure, too, when its first part could join what precedes it (U+16D68).
                if (!kept.Contains(decompositions[i]) || _unsure.Contains(decompositions[i + 2])) _unsure.Add(decompositions[i]);
            }
            Relevant.UnionWith(_unsure);
        }

        public HashSet<int> Relevant { get; } = [];

        public Dictionary<long, int> Compositions { get; } = [];

        public Dictionary<int, (int Start, int Length)> Decompositions { get; } = [];

        /// <summary>Ordinal of the canonical combining class; 0 for starters.</summary>
        public int CombiningClass(int codePoint)
        {
            if (codePoint < 0x300) return 0;
            var index = Array.BinarySearch(_classStarts, codePoint);
            if (index < 0) index = ~index - 1;
            if (index < 0) return 0;
            var row = NfcTables.CombiningClasses.Slice(3 * index, 3);
            return codePoint <= row[1] ? row[2] : 0;
        }

        /// <summary>NFC_Quick_Check is No or Maybe.</summary>
        public bool IsUnsure(int codePoint) => _unsure.Contains(codePoint);
    }
}
