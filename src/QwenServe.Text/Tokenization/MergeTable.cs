using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Which two neighbours join, how early, and into what. One 64-bit word a merge (left id, right id, rank) in an
/// open-addressing table at most a third full, so that the usual question, "do these two join?", is one cache line; pairs of
/// single bytes, with which every piece begins, have a plain 256 x 256 table.
/// </summary>
internal sealed class MergeTable
{
    public const int MaxId = (1 << IdBits) - 1;
    public const int MaxMerges = (1 << RankBits) - 1;

    /// <summary>The rank of two tokens that never join.</summary>
    public const int None = int.MaxValue;

    private const int IdBits = 21;
    private const int RankBits = 22;
    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] _slots;
    private readonly int _shift;
    private readonly int[] _merged;
    private readonly int[] _bytePairRanks = new int[256 * 256];

    /// <param name="merges">Left id, right id, merged id, by rank. Of two merges of one pair the later one counts.</param>
    /// <param name="byteIds">The token of each single byte.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public MergeTable(ReadOnlySpan<(int Left, int Right, int Merged)> merges, ReadOnlySpan<int> byteIds)
    {
        var bits = 4;
        while (1L << bits < 3L * merges.Length) bits++;
        _slots = new ulong[1 << bits];
        _shift = 64 - bits;
        Array.Fill(_slots, Empty);
        _merged = new int[merges.Length];
        for (var rank = 0; rank < merges.Length; rank++)
        {
            var (left, right, merged) = merges[rank];
            _merged[rank] = merged;
            var key = Key(left, right);
            var slot = Slot(key);
            while (_slots[slot] != Empty && _slots[slot] >> RankBits != key) slot = (slot + 1) & (_slots.Length - 1);
            _slots[slot] = (key << RankBits) | (uint)rank;
        }
        for (var first = 0; first < 256; first++)
            for (var second = 0; second < 256; second++)
                _bytePairRanks[(first << 8) | second] = Rank(byteIds[first], byteIds[second]);
    }

    /// <summary>The rank at which two tokens join, or <see cref="None"/>.</summary>
    public int Rank(int left, int right)
    {
        var slots = _slots;
        var key = Key(left, right);
        var slot = Slot(key);
        while ((uint)slot < (uint)slots.Length)
        {
            var entry = slots[slot];
            if (entry >> RankBits == key) return (int)(entry & MaxMerges);
            if (entry == Empty) break;
            slot = (slot + 1) & (slots.Length - 1);
        }
        return None;
    }

    public int BytePairRank(byte first, byte second) => _bytePairRanks[(first << 8) | second];

    /// <summary>What the merge of this rank makes.</summary>
    public int Merged(int rank) => _merged[rank];

    private static ulong Key(int left, int right) => ((ulong)(uint)left << IdBits) | (uint)right;

    private int Slot(ulong key) => (int)((key * 0x9E3779B97F4A7C15) >> _shift);
}
