using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace QwenServe.Text.Tokenization;

/// <summary>
/// Remembers the ids of short pieces. A fixed number of 64-byte entries, each piece having one place, written and read in
/// place under a sequence number (a seqlock): readers on any thread take no lock, nothing is allocated after construction,
/// and a reader that meets a writer simply counts as a miss.
/// </summary>
internal sealed class PieceCache
{
    /// <summary>Longest piece kept, in bytes.</summary>
    public const int MaxBytes = 24;

    /// <summary>Most ids kept a piece.</summary>
    public const int MaxIds = 7;

    private const int EntryBits = 16;

    private readonly Entry[] _entries = new Entry[1 << EntryBits];

    /// <summary>A piece as three zero-padded words and its length.</summary>
    public readonly ref struct Key
    {
        public readonly ulong First, Second, Third;
        public readonly int Length;
        public readonly int Place;

        /// <param name="text">Readable for <see cref="MaxBytes"/> bytes from <paramref name="start"/>.</param>
        /// <param name="start">Where the piece starts.</param>
        /// <param name="length">Its length, at most <see cref="MaxBytes"/>.</param>
        public Key(ReadOnlySpan<byte> text, int start, int length)
        {
            Length = length;
            if (length <= 8)
            {
                First = Low(BinaryPrimitives.ReadUInt64LittleEndian(text.Slice(start, 8)), length);
            }
            else
            {
                First = BinaryPrimitives.ReadUInt64LittleEndian(text.Slice(start, 8));
                var second = BinaryPrimitives.ReadUInt64LittleEndian(text.Slice(start + 8, 8));
                if (length <= 16)
                {
                    Second = Low(second, length - 8);
                }
                else
                {
                    Second = second;
                    Third = Low(BinaryPrimitives.ReadUInt64LittleEndian(text.Slice(start + 16, 8)), length - 16);
                }
            }
            var hash = (First ^ (ulong)length << 59) * 0x9E3779B97F4A7C15;
            hash = (hash ^ (hash >> 32) ^ Second) * 0xC4CEB9FE1A85EC53;
            hash = (hash ^ (hash >> 32) ^ Third) * 0xFF51AFD7ED558CCD;
            Place = (int)(hash >> (64 - EntryBits));
        }

        private static ulong Low(ulong word, int bytes) => word & (ulong.MaxValue >> (64 - 8 * bytes));
    }

    /// <summary>Copies the piece's ids and returns their number, or 0 when it is not remembered.</summary>
    /// <param name="key">The piece.</param>
    /// <param name="ids">Room for <see cref="MaxIds"/>.</param>
    public int Find(in Key key, Span<int> ids)
    {
        ref var entry = ref _entries[key.Place];
        var version = Volatile.Read(ref entry.Version);
        if ((version & 1) != 0 || entry.Length != key.Length || entry.First != key.First || entry.Second != key.Second || entry.Third != key.Third) return 0;
        var count = entry.Count;
        if (count == 1)
        {
            ids[0] = entry.Ids[0];
        }
        else
        {
            for (var i = 0; i < count && i < MaxIds; i++) ids[i] = entry.Ids[i];
        }
        Volatile.ReadBarrier();
        return entry.Version == version ? count : 0;
    }

    /// <summary>Remembers a piece in place of whatever was there; does nothing while another thread writes the same place.</summary>
    public void Store(in Key key, ReadOnlySpan<int> ids)
    {
        ref var entry = ref _entries[key.Place];
        var version = Volatile.Read(ref entry.Version);
        if ((version & 1) != 0 || Interlocked.CompareExchange(ref entry.Version, version + 1, version) != version) return;
        entry.First = key.First;
        entry.Second = key.Second;
        entry.Third = key.Third;
        entry.Length = (ushort)key.Length;
        entry.Count = (ushort)ids.Length;
        for (var i = 0; i < ids.Length; i++) entry.Ids[i] = ids[i];
        Volatile.Write(ref entry.Version, version + 2);
    }

    private struct Entry
    {
        public int Version;
        public ushort Length;
        public ushort Count;
        public ulong First, Second, Third;
        public IdArray Ids;
    }

    [InlineArray(MaxIds)]
    private struct IdArray
    {
        private int _first;
    }
}
