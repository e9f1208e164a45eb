using System.Globalization;

namespace QwenServe.Text.Grammar;

/// <summary>Symbols <c>Lo..Hi</c>: code points, or bytes.</summary>
internal readonly record struct SymbolRange(int Lo, int Hi);

/// <summary>Sets of code points as sorted, disjoint ranges without surrogates, and their UTF-8 forms.</summary>
internal static class Ranges
{
    public const int MaxCodePoint = 0x10FFFF;

    public static readonly SymbolRange[] All = [new(0, 0xD7FF), new(0xE000, MaxCodePoint)];

    private static readonly SymbolRange[]?[] Categories = new SymbolRange[]?[30];

    public static SymbolRange[] Normalize(IEnumerable<SymbolRange> ranges)
    {
        var result = new List<SymbolRange>();
        foreach (var range in ranges.Where(r => r.Lo <= r.Hi).OrderBy(r => r.Lo))
        {
            if (result.Count > 0 && range.Lo <= result[^1].Hi + 1)
                result[^1] = result[^1] with { Hi = Math.Max(result[^1].Hi, range.Hi) };
            else result.Add(range);
        }
        return [.. result];
    }

    /// <summary>All code points that are not in the set.</summary>
    public static SymbolRange[] Negate(IEnumerable<SymbolRange> ranges) => Subtract(All, ranges);

    public static SymbolRange[] Subtract(IEnumerable<SymbolRange> from, IEnumerable<SymbolRange> what)
    {
        var holes = Normalize(what);
        var result = new List<SymbolRange>();
        foreach (var range in Normalize(from))
        {
            var lo = range.Lo;
            foreach (var hole in holes)
            {
                if (hole.Hi < lo) continue;
                if (hole.Lo > range.Hi) break;
                if (hole.Lo > lo) result.Add(new(lo, hole.Lo - 1));
                lo = hole.Hi + 1;
            }
            if (lo <= range.Hi) result.Add(new(lo, range.Hi));
        }
        return [.. result];
    }

    public static SymbolRange[] Category(UnicodeCategory category)
    {
        if (Categories[(int)category] is { } known) return known;
        var result = new List<SymbolRange>();
        foreach (var plane in All)
        {
            for (var c = plane.Lo; c <= plane.Hi; c++)
            {
                if (CharUnicodeInfo.GetUnicodeCategory(c) != category) continue;
                if (result.Count > 0 && result[^1].Hi == c - 1) result[^1] = result[^1] with { Hi = c };
                else result.Add(new(c, c));
            }
        }
        return Categories[(int)category] = [.. result];
    }

    /// <summary>The UTF-8 forms of a range of code points as sequences of byte ranges, each sequence a full product.</summary>
    public static void Utf8(SymbolRange range, List<SymbolRange[]> sequences)
    {
        ReadOnlySpan<int> limits = [0x7F, 0x7FF, 0xFFFF, MaxCodePoint];
        var lo = range.Lo;
        for (var size = 1; size <= 4 && lo <= range.Hi; size++)
        {
            var hi = Math.Min(range.Hi, limits[size - 1]);
            if (lo > hi) continue;
            Split(lo, hi, size, sequences);
            lo = hi + 1;
        }
    }

    private static void Split(int lo, int hi, int size, List<SymbolRange[]> sequences)
    {
        // Cut until all but the leading differing byte span the full continuation range.
        for (var tail = size - 1; tail > 0; tail--)
        {
            var mask = (1 << (6 * tail)) - 1;
            if ((lo & ~mask) == (hi & ~mask)) continue;
            if ((lo & mask) != 0)
            {
                Split(lo, lo | mask, size, sequences);
                Split((lo | mask) + 1, hi, size, sequences);
                return;
            }
            if ((hi & mask) != mask)
            {
                Split(lo, (hi & ~mask) - 1, size, sequences);
                Split(hi & ~mask, hi, size, sequences);
                return;
            }
        }
        var sequence = new SymbolRange[size];
        for (var i = size - 1; i > 0; i--)
        {
            sequence[i] = new(0x80 | (lo & 0x3F), 0x80 | (hi & 0x3F));
            lo >>= 6;
            hi >>= 6;
        }
        var lead = size switch { 1 => 0, 2 => 0xC0, 3 => 0xE0, _ => 0xF0 };
        sequence[0] = new(lead | lo, lead | hi);
        sequences.Add(sequence);
    }
}
